"""Who writes under a syslog identifier, in the journal and in text files, and in which grammar."""

from kata_audit.schema.record import Component

COMPONENT_OF_IDENTIFIER = {
    "containerd": Component.CONTAINERD,
    "crio": Component.CRIO,
    "kubelet": Component.KUBELET,
    "kube-apiserver": Component.KUBE_APISERVER,
    "kata": Component.RUNTIME_GO,
    "virtiofsd": Component.VIRTIOFSD,
    "kernel": Component.HOST_KERNEL,
    "systemd-journald": Component.JOURNALD,
    "audit": Component.AUDITD,
}
"""Who writes under a SYSLOG_IDENTIFIER, where the record itself does not say."""
DIALECT_OF_IDENTIFIER: dict[str, str] = {"virtiofsd": "virtiofsd"}
"""The grammar of all that is written under a SYSLOG_IDENTIFIER, where its texts tell none."""
