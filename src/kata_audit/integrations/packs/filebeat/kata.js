// From an event of a source to fields, for Filebeat's processor `script` (ECMAScript 5.1). `message` stays as it was received,
// but for masked secrets.
//
// What you search by in the end:
//   kata_message, kata_level   of the innermost record
//   kata_sandbox               as the host says it; nothing that a guest printed gets there
//   kata_transport             how it came: journal-json, host-file, cri, console; the input sets it
//   inner_*                    what a guest or a relayed program said: claims, not facts

var MASK = "*masked*";
// Behind a telling name, bearer tokens, JSON web tokens, passwords in URLs, keys of AWS and GitHub.
var SECRETS = [
    [/((?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[a-z0-9_-]*\\*"?\s*[=:]\s*\\*"?)[^\s"\\,;&}\]]+/gi, "$1" + MASK],
    [/(bearer )[a-z0-9._~+\/=-]+/gi, "$1" + MASK],
    [/eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+/g, MASK],
    [/(:\/\/[^\s:\/@]+:)[^\s\/@]+@/g, "$1" + MASK + "@"],
    [/AKIA[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36,}/g, MASK]
];
var PREFIX = /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (\S+) ([^\s\[:]+)(?:\[(\d+)\])?: ([\s\S]*)$/;
var LOGRUS = /^time="[^"]+" level=[a-z]+(?: |$)/;
// A key may hold anything but quotes and signs (`pod list`), so that a pair begins behind a space at which a value ended.
var PAIR = /^ *([^="]+?)=(?:"((?:[^"\\]|\\.)*)"|([^ "]*))(?= |$)/;
var OBJECT = /\{"msg":[\s\S]*\}\s*$/;
var AUDIT = /^\{"kind":"Event","apiVersion":"audit\.k8s\.io\//;
var CONSOLE = /^vm console: "([\s\S]*)"$/;
var RELAYED_VIRTIOFSD = /^source: virtiofsd \[(\S+) (ERROR|WARN|INFO|DEBUG|TRACE) +([\w:]+)\] ([\s\S]*)$/;
var CLOUD_HYPERVISOR = [
    /^cloud-hypervisor: +([\d.]+[mun]?s): <([^>]*)> (ERROR|WARN|INFO|DEBUG|TRACE):(\S+) -- ([\s\S]*?)\s*$/,
    ["elapsed", "thread", "level", "caller", "msg"]
];
var KERNEL = [/^(?:<\d+>)?\[ *(\d+\.\d+)\] ([\s\S]*?)\s*$/, ["uptime", "msg"]];
// kubelet, Firecracker, virtiofsd, Cloud Hypervisor, QEMU, kernels: the first that fits is taken.
var KLOG_FIELDS = [
    /^([IWEF])(\d{4} \d\d:\d\d:\d\d\.\d+) +(\d+) ([^\]]+)\] "((?:[^"\\]|\\.)*)"(?: ([\s\S]*))?$/,
    ["level", "klog_time", "pid", "caller", "msg", "klog_fields"]
];
var TEXTS = [
    [/^([IWEF])(\d{4} \d\d:\d\d:\d\d\.\d+) +(\d+) ([^\]]+)\] ([\s\S]*)$/, ["level", "klog_time", "pid", "caller", "msg"]],
    [
        /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+) \[([^:\]]+):(?:([^:\]]+):)?(ERROR|WARN|INFO|DEBUG|TRACE)(?::([^\]]+))?\] ([\s\S]*)$/,
        ["time", "instance", "thread", "level", "caller", "msg"]
    ],
    [
        /^\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (ERROR|WARN|INFO|DEBUG|TRACE) +([\w:]+)\] ([\s\S]*)$/,
        ["time", "level", "module", "msg"]
    ],
    CLOUD_HYPERVISOR,
    [/^(qemu[\w.-]*): (?:(warning|info): )?([\s\S]*)$/, ["program", "level", "msg"]],
    KERNEL
];
var LETTERS = {I: "info", W: "warning", E: "error", F: "fatal"};
// runtime-rs writes to the journal one step lower than syslog does: its info is 5, its debug 6.
var PRIORITIES = {2: "critical", 3: "error", 4: "warning", 5: "info", 6: "debug", 7: "trace"};

function masked(text) {
    for (var i = 0; i < SECRETS.length; i++) {
        text = text.replace(SECRETS[i][0], SECRETS[i][1]);
    }
    return text;
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch (error) {
        return null;
    }
}

// Undo the quotes of Go and of Rust: those of JSON but for `\x1b`, `\u{1b}`, `\'`.
function unquoted(text) {
    var json = text.replace(/\\(?:\\|x([0-9a-f]{2})|u\{([0-9a-f]{1,4})\}|')/g, function (found, x, u) {
        var code = x || u;
        if (code) {
            return "\\u" + ("0000" + code).slice(-4);
        }
        return found === "\\'" ? "'" : found;
    });
    var read = parsed('["' + json + '"]');
    return read === null ? text : read[0];
}

function pairs(line) {
    var fields = {}, found;
    while ((found = PAIR.exec(line)) !== null) {
        fields[found[1]] = found[2] === undefined ? found[3] : unquoted(found[2]);
        line = line.slice(found[0].length);
    }
    return fields;
}

function fit(texts, line) {
    for (var i = 0; i < texts.length; i++) {
        var found = texts[i][0].exec(line);
        if (found !== null) {
            var fields = {};
            for (var j = 0; j < texts[i][1].length; j++) {
                if (found[j + 1] !== undefined) {
                    fields[texts[i][1][j]] = found[j + 1];
                }
            }
            return fields;
        }
    }
    return null;
}

// Fields of what a shim relays of its guest, with one prefix, so that a guest cannot name a field of the host's.
function innerFields(inner) {
    var object = OBJECT.exec(inner);
    var fields = object === null ? null : parsed(object[0]);
    fields = fields || fit([CLOUD_HYPERVISOR, KERNEL], inner);
    fields = fields || {msg: RELAYED_VIRTIOFSD.test(inner) ? inner : inner.replace(/^\s+|\s+$/g, "")};
    var found = RELAYED_VIRTIOFSD.exec(String(fields.msg));
    if (found !== null) {
        if (fields.level !== undefined) {
            fields.relay_level = fields.level;
            fields.relay_ts = fields.ts;
        }
        fields.ts = found[1];
        fields.level = found[2];
        fields.module = found[3];
        fields.msg = found[4];
    }
    var named = {};
    for (var key in fields) {
        named["inner_" + key] = fields[key];
    }
    return named;
}

// Give all fields of a line. `host` is what the source itself says of it.
function read(line, host) {
    var fields = {}, inner = null, done = true, found;
    var native = host.kata_transport === "journal-json" && host.transport === "journal" && host.name === "kata-runtime";
    var agent = host.kata_transport === "journal-json" && host.subsystem === "agent";
    var identifier = host.identifier;
    if (host.kata_transport === "host-file" && (found = PREFIX.exec(line)) !== null) {
        fields._HOSTNAME = found[1];
        identifier = fields.SYSLOG_IDENTIFIER = found[2];
        if (found[3] !== undefined) {
            fields._PID = found[3];
        }
        line = found[4];
    }
    if (agent) {
        // What runtime-rs forwards of its agent is the guest's, whatever it looks like.
        inner = line;
    } else if (LOGRUS.test(line)) {
        found = pairs(line);
        for (var key in found) {
            fields[key] = found[key];
        }
        inner = found.vmconsole;
    } else if (AUDIT.test(line) && (found = parsed(line)) !== null) {
        fields.audit = found;
    } else if (OBJECT.test(line) || RELAYED_VIRTIOFSD.test(line)) {
        inner = line;
    } else if ((found = CONSOLE.exec(line)) !== null) {
        inner = unquoted(found[1]);
    } else if ((found = fit([KLOG_FIELDS], line)) !== null) {
        found.msg = unquoted(found.msg);
        for (var field in found) {
            fields[field] = found[field];
        }
    } else if ((found = fit(TEXTS, line)) !== null) {
        for (var name in found) {
            fields[name] = found[name];
        }
    } else {
        done = false;
    }
    if (inner) {
        found = innerFields(inner);
        for (var innerName in found) {
            fields[innerName] = found[innerName];
        }
    }
    if (native) {
        fields.level = PRIORITIES[host.priority];
    }
    fields.level = LETTERS[fields.level] || fields.level;
    if (fields.inner_msg !== undefined) {
        fields.kata_message = fields.inner_msg;
        // A line of the agent's that is no JSON has the level that the journal gives it.
        fields.kata_level = fields.inner_level || (agent ? fields.level : undefined);
    } else {
        fields.kata_message = fields.msg === undefined ? (done ? "" : line) : fields.msg;
        fields.kata_level = fields.level;
    }
    // The host's word: `SOURCE` of runtime-rs, `sandbox=` of the Go shim, and before 3.20 `source` of runtime-rs's lines in
    // containerd's stream. Pods and consoles write what they like and are not asked.
    delete fields.kata_sandbox;
    if (host.kata_transport === "journal-json" || host.kata_transport === "host-file") {
        if (native) {
            fields.kata_sandbox = host.source;
        } else if (fields.sandbox !== undefined) {
            fields.kata_sandbox = fields.sandbox;
        } else if (identifier === "containerd" && fields.inner_name === "kata-runtime") {
            fields.kata_sandbox = fields.inner_source;
        }
    }
    return fields;
}

function process(event) {
    var line = event.Get("message");
    if (typeof line !== "string") {
        return;
    }
    line = masked(line);
    event.Put("message", line);
    var fields = read(line, {
        kata_transport: event.Get("kata_transport"),
        transport: event.Get("systemd.transport"),
        identifier: event.Get("syslog.identifier"),
        priority: event.Get("syslog.priority"),
        name: event.Get("journald.custom.name"),
        source: event.Get("journald.custom.source"),
        subsystem: event.Get("journald.custom.subsystem")
    });
    for (var key in fields) {
        if (fields[key] !== undefined && fields[key] !== null) {
            // A point in a key would make a tree of it.
            event.Put(key.replace(/\./g, "_"), fields[key]);
        }
    }
}
