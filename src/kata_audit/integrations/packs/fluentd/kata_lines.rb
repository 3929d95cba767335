# frozen_string_literal: true

require "json"

# From an event of a source to fields. `log` (files) and `MESSAGE` (journal) stay as they were received, but for masked secrets.
#
# What you search by in the end:
#   kata_message, kata_level   of the innermost record
#   kata_sandbox               as the host says it; nothing that a guest printed gets there
#   kata_transport             how it came: journal-json, host-file, cri, console; the configuration sets it, for each source
#   inner_*                    what a guest or a relayed program said: claims, not facts
module KataLines
  MASK = "*masked*"
  # Behind a telling name, bearer tokens, JSON web tokens, passwords in URLs, keys of AWS and GitHub.
  SECRETS = [
    [/((?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[a-z0-9_-]*\\*"?\s*[=:]\s*\\*"?)[^\s"\\,;&}\]]+/i, "\\1#{MASK}"],
    [/(bearer )[a-z0-9._~+\/=-]+/i, "\\1#{MASK}"],
    [/eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+/, MASK],
    [%r{(://[^\s:/@]+:)[^\s/@]+@}, "\\1#{MASK}@"],
    [/AKIA[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36,}/, MASK],
  ].freeze
  PREFIX = /\A[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?<_HOSTNAME>\S+) (?<SYSLOG_IDENTIFIER>[^\s\[:]+)(?:\[(?<_PID>\d+)\])?: (?<line>.*)\z/m
  CRI = /\A(?<cri_time>\S+) (?<cri_stream>stdout|stderr) (?<cri_tag>[PF])\S* (?<line>.*)\z/m
  LOGRUS = /\Atime="[^"]+" level=[a-z]+(?: |\z)/
  # A key may hold anything but quotes and signs (`pod list`), so that a pair begins behind a space at which a value ended.
  PAIR = /\G *(?<key>[^="]+?)=(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<bare>[^ "]*))(?= |\z)/
  OBJECT = /\{"msg":.*\}\s*\z/m
  AUDIT = %r{\A\{"kind":"Event","apiVersion":"audit\.k8s\.io/}
  CONSOLE = /\Avm console: "(?<text>.*)"\z/m
  LEVEL = /ERROR|WARN|INFO|DEBUG|TRACE/
  CLOUD_HYPERVISOR = /\Acloud-hypervisor: +(?<elapsed>[\d.]+[mun]?s): <(?<thread>[^>]*)> (?<level>#{LEVEL}):(?<caller>\S+) -- (?<msg>.*?)\s*\z/m
  KERNEL = /\A(?:<\d+>)?\[ *(?<uptime>\d+\.\d+)\] (?<msg>.*?)\s*\z/m
  VIRTIOFSD = /\A\[(?<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (?<level>#{LEVEL}) +(?<module>[\w:]+)\] (?<msg>.*)\z/m
  RELAYED_VIRTIOFSD = /\Asource: virtiofsd \[(?<ts>\S+) (?<level>#{LEVEL}) +(?<module>[\w:]+)\] (?<msg>.*)\z/m
  # kubelet, Firecracker, virtiofsd, Cloud Hypervisor, QEMU, kernels: the first that fits is taken.
  TEXTS = [
    /\A(?<level>[IWEF])(?<klog_time>\d{4} \d\d:\d\d:\d\d\.\d+) +(?<pid>\d+) (?<caller>[^\]]+)\] "(?<msg>(?:[^"\\]|\\.)*)"(?: (?<klog_fields>.*))?\z/m,
    /\A(?<level>[IWEF])(?<klog_time>\d{4} \d\d:\d\d:\d\d\.\d+) +(?<pid>\d+) (?<caller>[^\]]+)\] (?<msg>.*)\z/m,
    /\A(?<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+) \[(?<instance>[^:\]]+):(?:(?<thread>[^:\]]+):)?(?<level>#{LEVEL})(?::(?<caller>[^\]]+))?\] (?<msg>.*)\z/m,
    VIRTIOFSD,
    CLOUD_HYPERVISOR,
    /\A(?<program>qemu[\w.-]*): (?:(?<level>warning|info): )?(?<msg>.*)\z/m,
    KERNEL,
  ].freeze
  LETTERS = { "I" => "info", "W" => "warning", "E" => "error", "F" => "fatal" }.freeze
  # runtime-rs writes to the journal one step lower than syslog does: its info is 5, its debug 6.
  PRIORITIES = { "2" => "critical", "3" => "error", "4" => "warning", "5" => "info", "6" => "debug", "7" => "trace" }.freeze

  module_function

  # Give the fields of an event beside its own.
  def read(record)
    record = masked(record)
    transport = record["kata_transport"]
    native = transport == "journal-json" && record["_TRANSPORT"] == "journal" && record["NAME"] == "kata-runtime"
    agent = transport == "journal-json" && record["SUBSYSTEM"] == "agent"
    line = (record["MESSAGE"] || record["log"]).to_s.dup.force_encoding("UTF-8").scrub
    fields, line = envelope(transport, line)
    # What runtime-rs forwards of its agent is the guest's, whatever it looks like.
    found, inner, read = agent ? [{}, line, true] : outer(line)
    fields.merge!(found)
    fields.merge!(inner_fields(inner)) unless inner.nil? || inner.empty?
    fields["level"] = PRIORITIES[record["PRIORITY"].to_s] if native
    fields["level"] = LETTERS.fetch(fields["level"], fields["level"])
    search_fields(fields, agent, read ? "" : line)
    fields["kata_sandbox"] = sandbox(record.merge(fields), native)
    record.merge(fields.compact)
  end

  def masked(value)
    case value
    when String then SECRETS.reduce(value.valid_encoding? ? value : value.scrub) { |text, (secret, mark)| text.gsub(secret, mark) }
    when Hash then value.transform_values { |one| masked(one) }
    when Array then value.map { |one| masked(one) }
    else value
    end
  end

  def envelope(transport, line)
    found = { "host-file" => PREFIX, "cri" => CRI }[transport]&.match(line)
    return [{}, line] unless found

    fields = found.named_captures
    line = fields.delete("line")
    [fields, line]
  end

  # Give fields of the host's, what it relays of a guest, and whether the line was understood.
  def outer(line)
    if LOGRUS.match?(line)
      fields = pairs(line)
      return [fields, fields["vmconsole"], true]
    end
    return [{ "audit" => JSON.parse(line) }, nil, true] if AUDIT.match?(line)
    return [{}, line, true] if OBJECT.match?(line) || RELAYED_VIRTIOFSD.match?(line)

    found = CONSOLE.match(line)
    return [{}, unquoted(found["text"]), true] if found

    found = TEXTS.lazy.filter_map { |text| text.match(line) }.first
    return [{}, nil, false] unless found

    fields = found.named_captures.compact
    fields["msg"] = unquoted(fields["msg"]) if found.regexp.equal?(TEXTS.first)
    [fields, nil, true]
  rescue JSON::ParserError
    [{}, nil, false]
  end

  def pairs(line)
    fields = {}
    at = 0
    while (found = PAIR.match(line, at))
      fields[found["key"].strip] = found["quoted"] ? unquoted(found["quoted"]) : found["bare"]
      at = found.end(0)
    end
    fields
  end

  # Undo the quotes of Go and of Rust: those of JSON but for `\x1b`, `\u{1b}`, `\'`.
  def unquoted(text)
    text = text.gsub(/\\(?:\\|x(\h{2})|u\{(\h{1,4})\}|')/) do |found|
      code = Regexp.last_match(1) || Regexp.last_match(2)
      code ? "\\u#{code.rjust(4, '0')}" : found.delete_suffix("'").then { |kept| kept == "\\" ? "'" : kept }
    end
    JSON.parse(%(["#{text}"])).first
  rescue JSON::ParserError
    text
  end

  def inner_fields(inner)
    fields = object(inner) || [CLOUD_HYPERVISOR, KERNEL].lazy.filter_map { |text| text.match(inner)&.named_captures&.compact }.first
    fields ||= RELAYED_VIRTIOFSD.match?(inner) ? { "msg" => inner } : { "msg" => inner.strip }
    found = RELAYED_VIRTIOFSD.match(fields["msg"].to_s)
    if found
      fields = fields.merge("relay_level" => fields["level"], "relay_ts" => fields["ts"]).compact if fields["level"]
      fields = fields.merge(found.named_captures)
    end
    # One prefix for all of it, so that a guest cannot name a field of the host's.
    fields.transform_keys { |key| "inner_#{key}" }
  end

  def object(text)
    found = OBJECT.match(text)
    read = found && JSON.parse(found[0])
    read.is_a?(Hash) ? read : nil
  rescue JSON::ParserError
    nil
  end

  def search_fields(fields, agent, line)
    if fields.key?("inner_msg")
      fields["kata_message"] = fields["inner_msg"]
      # A line of the agent's that is no JSON has the level that the journal gives it.
      fields["kata_level"] = fields["inner_level"] || (agent ? fields["level"] : nil)
    else
      fields["kata_message"] = fields["msg"] || line
      fields["kata_level"] = fields["level"]
    end
  end

  # The host's word: `SOURCE` of runtime-rs, `sandbox=` of the Go shim, and before 3.20 `source` of runtime-rs's lines in
  # containerd's stream. Pods and consoles write what they like and are not asked.
  def sandbox(record, native)
    return nil unless ["journal-json", "host-file"].include?(record["kata_transport"])
    return record["SOURCE"] if native
    return record["sandbox"] if record["sandbox"]

    record["inner_source"] if record["SYSLOG_IDENTIFIER"] == "containerd" && record["inner_name"] == "kata-runtime"
  end
end
