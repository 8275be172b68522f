from pathlib import Path

from mtl_cli.tables.reading import ReadOptions, TableFile

head, first, row = b"id,s,p\n", b"1,plain,x\n", b'0,"'
fill = (4 << 20) - len(head) - len(first) - len(row) - 1
Path("crlf.csv").write_bytes(head + first + row + b"z" * fill + b'\r\nB",x\n2,plain,x\n')
cells = [v for _, b in TableFile(Path("crlf.csv"), ReadOptions()).batches() for v in b.column("s").to_pylist()]
print(repr(cells[1][-3:]), "should be", repr("\r\nB"))
