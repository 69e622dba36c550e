package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const docs = "../../docs/configuration.md"

//go:generate go test -run ^TestDocs$ -update

// TestDocs holds docs/configuration.md to the tables that the program uses.
func TestDocs(t *testing.T) {
	tables := map[string]string{
		"keys": keyTable(groupKeys, false), "variants": keyTable(variantKeys, false), "rules": keyTable(ruleKeys, false),
		"original": keyTable(groupKeys, true) + keyRows(variantKeys, true), "operator": keyTable(operatorKeys, false),
		"policy": choiceTable(policies), "backend": choiceTable(backends), "entry": choiceTable(entries), "guard": choiceTable(guards), "fs": choiceTable(filesystems),
		"on_divergence": choiceTable(responses), "program": choiceTable(programs), "check": choiceTable(checks), "data": choiceTable(contents),
		"exec": choiceTable(execs), "operator_on_divergence": choiceTable(hostResponses), "inject": choiceTable(injects),
	}
	have := string(read(t, docs))
	seen := map[string]bool{}
	want := regexp.MustCompile(`(?s)<!-- begin (\w+) -->\n.*?<!-- end -->`).ReplaceAllStringFunc(have, func(block string) string {
		name := strings.Fields(block)[2]
		table, ok := tables[name]
		if !ok {
			t.Errorf("no table is called %q", name)
		}
		seen[name] = true
		return "<!-- begin " + name + " -->\n" + table + "<!-- end -->"
	})
	for name := range tables {
		if !seen[name] {
			t.Errorf("%s does not show the table %q", docs, name)
		}
	}
	if *update {
		if err := os.WriteFile(docs, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != want {
		t.Errorf("%s is not what the tables say: go generate ./internal/config", docs)
	}
}

func keyTable[T any](keys []key[T], original bool) string {
	return "| key | value | default | meaning |\n|---|---|---|---|\n" + keyRows(keys, original)
}

func keyRows[T any](keys []key[T], original bool) string {
	var b strings.Builder
	for _, k := range keys {
		if k.a8 != original {
			continue
		}
		def := k.defDoc
		switch {
		case k.missing != nil:
			def = "required"
		case k.def != "":
			def = "`" + k.def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.name, k.values, def, k.doc)
	}
	return b.String()
}

func choiceTable(choices []choice) string {
	var b strings.Builder
	b.WriteString("| value | meaning |\n|---|---|\n")
	for _, c := range choices {
		doc := c.doc
		if c.instead != "" {
			doc += " *Not in this version.*"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.value, doc)
	}
	return b.String()
}

// TestDocsSayWhereBreakpointsStand: of the original's keys they alone stand in a variant, and the table of all says so.
func TestDocsSayWhereBreakpointsStand(t *testing.T) {
	const variants = "variants = ( { id = 1; %s }, { id = 2; } );"
	for _, test := range []struct {
		file string
		good bool
	}{
		{"leader_id = 1; " + fmt.Sprintf(variants, "breakpoints = ( );"), true},
		{"leader_id = 1; breakpoints = ( ); " + fmt.Sprintf(variants, ""), false},
	} {
		if _, err := Parse("original", []byte(test.file)); (err == nil) != test.good {
			t.Errorf("%s: %v", test.file, err)
		}
	}
	if row := regexp.MustCompile("(?m)^\\| `breakpoints` .*$").FindString(string(read(t, docs))); !strings.Contains(row, "In an element of `variants`") {
		t.Errorf("%s does not say where it stands: %s", docs, row)
	}
}

// TestDocsExamples: every example in the documentation is accepted.
func TestDocsExamples(t *testing.T) {
	found := map[string]int{}
	for _, m := range regexp.MustCompile("(?s)```(yaml operator|yaml|libconfig)\n(.*?)```").FindAllStringSubmatch(string(read(t, docs)), -1) {
		found[m[1]]++
		var err error
		if m[1] == "yaml operator" {
			_, err = parseOperator("example", []byte(m[2]))
		} else {
			_, err = Parse("example", []byte(m[2]))
		}
		if err != nil {
			t.Errorf("%s\n%v", m[2], err)
		}
	}
	for _, form := range []string{"yaml", "libconfig", "yaml operator"} {
		if found[form] == 0 {
			t.Errorf("%s holds no example in the form %s", docs, form)
		}
	}
}

// TestDescribed: no key and no value goes without words.
func TestDescribed(t *testing.T) {
	check := func(name, values, doc, def string) {
		if name == "" || values == "" || doc == "" || def == "" {
			t.Errorf("%q: values %q, meaning %q, default %q", name, values, doc, def)
		}
	}
	describe(groupKeys, check)
	describe(variantKeys, check)
	describe(ruleKeys, check)
	describe(operatorKeys, check)
	for _, all := range [][]choice{policies, backends, entries, filesystems, responses, programs, checks, contents, execs, hostResponses, injects} {
		for _, c := range all {
			check(c.value, "-", c.doc, "-")
		}
	}
}

func describe[T any](keys []key[T], check func(name, values, doc, def string)) {
	for _, k := range keys {
		def := k.def + k.defDoc
		if k.missing != nil {
			def = "required"
		}
		check(k.name, k.values, k.doc, def)
	}
}
