package programs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/monmod/monmod/test/internal/filetree"
	"github.com/monmod/monmod/test/internal/target"
)

var fileWorkloads = []Workload{
	{
		Name: "sqlite3 rollback journal", Prepare: writeSQL("DELETE"), Stdin: "script.sql",
		Argv: command("sqlite3", "-batch", "data.db"),
		Also: []target.How{twoRW},
	},
	{
		Name: "sqlite3 WAL", Prepare: writeSQL("WAL"), Stdin: "script.sql",
		Argv: command("sqlite3", "-batch", "data.db"),
		Also: []target.How{threeFull},
	},
	{
		Name: "gzip", Prepare: writeText, Fill: copyText, Times: true,
		Argv: command("gzip", "-9", "text"),
		Also: []target.How{threeRW},
	},
	{
		Name: "gunzip", Prepare: writeText, Stdin: "text.gz", Into: "plain",
		Argv: command("gzip", "-dc"),
	},
	{
		Name: "tar cf", Prepare: writeTree, Argv: command("tar", "cf", "out.tar", "-C", "in", "tree"),
		Also: []target.How{threeFull},
	},
	{
		Name: "tar xf", Prepare: writeTar, Times: true, Argv: command("tar", "xf", "in/tree.tar"),
	},
	{
		Name: "busybox tar", Prepare: writeTree, Argv: command("busybox", "tar", "cf", "out.tar", "-C", "in", "tree"),
	},
	{
		Name: "sha256sum", Prepare: writeTree, Argv: overTree("sha256sum"),
	},
	{
		Name: "sort", Prepare: writeText, Into: "sorted", Argv: command("sort", "--parallel=1", "-k2,2", "-k1,1n", "in/text"),
		Also: []target.How{threeFull},
	},
	{
		// The names of its temporary files come from the clock and from an address on its stack.
		Name: "sort with temporary files", Prepare: writeText, Into: "sorted",
		Argv: command("sort", "--parallel=1", "-S", "1M", "-T", ".", "-k2,2", "-k1,1n", "in/text"),
		Also: []target.How{threeRW},
	},
	{
		Name: "gawk over a tree", Prepare: writeTree, Argv: overTree("gawk", "-f", source("testdata", "count.awk")),
	},
	{
		Name: "mawk over a tree", Prepare: writeTree, Argv: overTree("mawk", "-f", source("testdata", "count.awk")),
		Also: []target.How{twoRW},
	},
	{
		Name: "cp -a", Prepare: writeTree, Times: true, Argv: command("cp", "-a", "in/tree", "copy"),
	},
	{
		Name: "grep -r", Prepare: writeTree, Argv: command("grep", "-rc", "gamma delta", "in/tree/"),
	},
	{
		Name: "find and remove", Prepare: writeTree, Fill: copyTree, Argv: command("find", "copy", "-name", "f*2.txt", "-print", "-delete"),
	},
	{
		Name: "dd", Prepare: writeText, Argv: command("dd", "if=in/text", "of=copy", "bs=1000", "conv=ucase,fsync", "status=none"),
	},
	{
		Name: "curl", Prepare: writeDocs,
		Argv: func(g Ground) []string {
			return []string{"curl", "--silent", "--show-error", "--fail", "--write-out", "%{http_code} %{size_download}\n",
				"http://" + g.Origin + "/page4k.html", "--output", "small",
				"http://" + g.Origin + "/page10m.bin", "--output", "large"}
		},
		Also: []target.How{twoRW},
	},
}

// writeSQL writes a script of one transaction of 100,000 rows and of what else a database does: an index, changes, a
// transaction rolled back, a check.
func writeSQL(journal string) func(Ground) error {
	return func(g Ground) error {
		var b bytes.Buffer
		fmt.Fprintf(&b, "PRAGMA journal_mode=%s;\nCREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, value REAL);\nBEGIN;\n", journal)
		for i := range 100_000 {
			fmt.Fprintf(&b, "INSERT INTO t VALUES(%d,'row %d',%d.5);\n", i, uint32(i)*2654435761, i%977)
		}
		b.WriteString(`COMMIT;
CREATE INDEX by_name ON t(name);
UPDATE t SET value = value * 2 WHERE id % 100 = 7;
BEGIN; DELETE FROM t WHERE id > 50000; SELECT count(*) FROM t; ROLLBACK;
SELECT count(*), sum(value), min(name), max(name) FROM t;
SELECT id FROM t ORDER BY name LIMIT 20;
PRAGMA integrity_check;
`)
		return filetree.WriteFile(filepath.Join(g.In, "script.sql"), b.Bytes())
	}
}

func writeText(g Ground) error {
	if err := filetree.WriteFile(filepath.Join(g.In, "text"), filetree.Text(7, 4<<20)); err != nil {
		return err
	}
	return native(g.In, "gzip", "-k", "text")
}

// copyText gives a run its own copy of the text, with the text's time, which gzip puts into its output.
func copyText(g Ground) error { return native(g.Run, "cp", "-p", filepath.Join(g.In, "text"), "text") }

func writeTree(g Ground) error { return filetree.Generate(filepath.Join(g.In, "tree"), 40, 25) }

func copyTree(g Ground) error {
	return native(g.Run, "cp", "-a", filepath.Join(g.In, "tree"), "copy")
}

func writeTar(g Ground) error {
	if err := writeTree(g); err != nil {
		return err
	}
	return native(g.In, "tar", "cf", "tree.tar", "tree")
}

// overTree is a command over every file of the tree, named one by one.
func overTree(argv ...string) func(Ground) []string {
	return func(g Ground) []string {
		files, err := filepath.Glob(filepath.Join(g.In, "tree", "d*", "*.txt"))
		if err != nil || len(files) == 0 {
			panic(fmt.Sprintf("list the tree in %s: %d files, %v", g.In, len(files), err))
		}
		full := append([]string{}, argv...)
		for _, f := range files {
			rel, err := filepath.Rel(g.In, f)
			if err != nil {
				panic(err)
			}
			full = append(full, "in/"+rel)
		}
		return full
	}
}

// fill writes a file below a run's folder.
func fill(name, text string) func(Ground) error {
	return func(g Ground) error { return os.WriteFile(filepath.Join(g.Run, name), []byte(text), 0o644) }
}
