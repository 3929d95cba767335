"""Lines of captured runs that answers of `why` are made of (containerd and shim of go-info and rs-remote2-info, an agent); their
backtraces are cut after the first frame."""

NO_DEVICE = "f16446fba0c1b27280444f050cd8e8318de6330239cb0c2058325da8da0a06f6"
NO_AGENT = "479ebb7691f94e9141cf6e8c7bd53f1242f7e96e9e8abcbb28c5c55b72c97c60"
OOM = "af6650394f8968c7b0ac73d060c01cd6441e3318c21bb1210acc460a5c0cedf8"
KILLED = "5d36556d7de8a013413996cf7b57bd4243e2596b5e179fbcd95ee4e54f503c73"
CONTAINERD = rf"""
time="2026-11-23T06:07:24.408180813Z" level=info msg="CreateContainer within sandbox \"{OOM}\" for name:\"hog-direct\" returns container id \"{KILLED}\""
time="2026-11-23T06:07:24.420546104Z" level=info msg="StartContainer for \"{KILLED}\""
time="2026-11-23T06:07:24.497429217Z" level=info msg="received container exit event container_id:\"{KILLED}\"  id:\"{KILLED}\"  pid:1909  exit_status:137  exited_at:{{seconds:1795414044  nanos:497008584}}"
time="2026-11-23T06:07:56.237747203Z" level=info msg="RunPodSandbox for name:\"bad-qemu-nokernel\"  uid:\"09957903-574a-4a83-af18-491fb069aa52\"  namespace:\"default\""
time="2026-11-23T06:07:56.391721150Z" level=info msg="shim disconnected" id={NO_DEVICE} namespace=k8s.io
time="2026-11-23T06:07:56.449349637Z" level=error msg="RunPodSandbox for name:\"bad-qemu-nokernel\"  uid:\"09957903-574a-4a83-af18-491fb069aa52\"  namespace:\"default\" failed, error" error="rpc error: code = Unknown desc = failed to start sandbox \"{NO_DEVICE}\": failed to create containerd task: failed to create shim task: /etc/kata-containers/configuration-qemu-nokernel.toml: host system doesn't support vsock: stat /dev/vhost-vsock: no such file or directory"
time="2026-11-23T06:08:29.182116191Z" level=error msg="RunPodSandbox for name:\"web-0\"  uid:\"78025ff1-b46a-4057-98bb-dbb59ba3729e\"  namespace:\"shop\" failed, error" error="rpc error: code = FailedPrecondition desc = failed to reserve sandbox name \"web-0_shop_78025ff1-b46a-4057-98bb-dbb59ba3729e_0\": name \"web-0_shop_78025ff1-b46a-4057-98bb-dbb59ba3729e_0\" is reserved for \"3d4df7d68d46c40d9e5e97e40cb1506087f1bad4cc1420536dadab128d05dad7\""
time="2026-11-23T06:09:04.129012786Z" level=error msg="RunPodSandbox for name:\"vault-4\"  uid:\"1f657aa2-1886-5805-8399-fc71f43b70f6\"  namespace:\"payments\" failed, error" error="rpc error: code = Unknown desc = failed to start sandbox \"{NO_AGENT}\": failed to create containerd task: failed to create shim task: Others(\"failed to handle message start sandbox in task handler\\n\\nCaused by:\\n    0: connect to address \\\"hvsock:///run/peerpod/pods/{NO_AGENT}/kata.hvsock\\\"\\n    1: connect agent server\\n    2: connect\\n\\nStack backtrace:\\n   0: anyhow::error::from\")"
""".lstrip()
AGENT = r"""
{"msg":"Failed to initialize agent policy: \n--> /etc/kata-opa/default-policy.rego:4:1\n  |\n4 | \n  | ^\nerror: expecting expression\n\nStack backtrace:\n   0: anyhow::kind::Adhoc::new","level":"ERRO","ts":"2026-11-23T06:08:27.500000000Z","version":"0.1.0","subsystem":"root","name":"kata-agent","pid":"1","source":"agent"}
""".lstrip()
LOST_AGENT = "b111a2573883838d1941b5cd3b0e40372ef8f8daf416383f351adcd2f0cc97c8"
SHIM = f"""
time="2026-11-23T06:07:47.841325064Z" level=error msg="Wait for process failed" container={LOST_AGENT} error="ttrpc: closed" name=containerd-shim-v2 pid={LOST_AGENT} sandbox={LOST_AGENT} source=containerd-kata-shim-v2
""".lstrip()
