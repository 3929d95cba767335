"""Make a Fluent Bit that reads configuration files out of the engine in the wheel `tenzir`, which holds a whole one.

The engine starts Fluent Bit's parts through its library and with options only. Its symbols are there, so that a copy of the
program can begin with what `fluent-bit -c FILE` does: `flb_create`, `flb_lib_config_file`, `flb_start`, and wait. Those few
instructions stand in the place of `main`. Inputs and filters that the engine was built without (systemd, Lua) stay absent.

    python extract.py ENGINE TARGET
"""

import mmap
import shutil
import struct
import sys
from pathlib import Path
from typing import NamedTuple

CALLED = ("flb_create", "flb_lib_config_file", "flb_start", "flb_loop", "flb_stop")
SYMBOL_TABLE = 2
FUNCTION = 2


class Section(NamedTuple):
    """A row of the section table: what `Elf64_Shdr` holds, in its order."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


class Symbol(NamedTuple):
    """Where a function is: in memory, in the file, and how long it is."""

    address: int
    offset: int
    size: int


def functions(data: mmap.mmap, names: tuple[str, ...]) -> dict[str, Symbol]:
    """Find functions by name in the symbol table of a 64-bit little-endian ELF file."""
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [Section(*struct.unpack_from("<IIQQQQIIQQ", data, start + i * size)) for i in range(count)]
    (table,) = (one for one in sections if one.type == SYMBOL_TABLE)
    strings = sections[table.link]
    texts = data[strings.offset : strings.offset + strings.size]
    wanted = {}
    for name in names:
        at = -1
        while (at := texts.find(name.encode() + b"\0", at + 1)) >= 0:
            wanted[at] = name
    found = {}
    for at, info, _, section, address, length in struct.iter_unpack(
        "<IBBHQQ", data[table.offset : table.offset + table.size]
    ):
        if at in wanted and info & 15 == FUNCTION and section:
            place = sections[section]
            found[wanted[at]] = Symbol(address, address - place.address + place.offset, length)
    return found


def beginning(found: dict[str, Symbol]) -> bytes:
    """Assemble, for x86-64: `flb_stop(loop(start(config_file(create(), argv[1]))))`, ending early where one of them fails."""
    code, ends = bytearray(), []

    def put(hexadecimal: str) -> None:
        code.extend(bytes.fromhex(hexadecimal))

    def call(name: str) -> None:
        code.extend(b"\xe8" + struct.pack("<i", found[name].address - (found["main"].address + len(code) + 5)))

    def end_if_not_zero() -> None:
        put("85c0 75")  # test eax, eax; jne
        ends.append(len(code))
        put("00")

    put("53 4154 4883ec08 4c8b6608")  # push rbx; push r12; sub rsp, 8; mov r12, [rsi + 8]
    call("flb_create")
    put("4889c3 4889df 4c89e6")  # mov rbx, rax; mov rdi, rbx; mov rsi, r12
    call("flb_lib_config_file")
    end_if_not_zero()
    put("4889df")  # mov rdi, rbx
    call("flb_start")
    end_if_not_zero()
    put("4889df")
    call("flb_loop")
    put("4889df")
    call("flb_stop")
    put("31c0")  # xor eax, eax
    for at in ends:
        code[at] = len(code) - at - 1
    put("4883c408 415c 5b c3")  # add rsp, 8; pop r12; pop rbx; ret
    return bytes(code)


def main(engine: Path, target: Path) -> None:
    """Write the copy."""
    with engine.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        found = functions(data, ("main", *CALLED))
    code = beginning(found)
    if len(code) > found["main"].size:
        sys.exit("`main` is too short.")
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_suffix(".new")
    shutil.copyfile(engine, made)
    with made.open("r+b") as copy:
        copy.seek(found["main"].offset)
        copy.write(code)
    made.chmod(0o755)
    made.rename(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
