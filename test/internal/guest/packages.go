package guest

import (
	"fmt"
	"slices"
	"strings"
)

// installed is what dpkg knows of the packages of this system.
type installed struct {
	version  map[string]string
	needs    map[string]string   // as the package has it: "a, b | c (>= 1)"
	provides map[string][]string // who provides a name
}

func readInstalled() (*installed, error) {
	out, err := command("/", nil, "dpkg-query", "-W", "-f",
		`${db:Status-Status}\t${Package}\t${Version}\t${Pre-Depends}, ${Depends}\t${Provides}\n`)
	if err != nil {
		return nil, err
	}
	db := &installed{map[string]string{}, map[string]string{}, map[string][]string{}}
	for line := range strings.Lines(string(out)) {
		field := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(field) != 5 || field[0] != "installed" {
			continue
		}
		name := field[1]
		db.version[name], db.needs[name] = field[2], field[3]
		for _, other := range names(field[4], ",") {
			db.provides[other] = append(db.provides[other], name)
		}
	}
	return db, nil
}

// names returns the packages of a list, without versions and architectures.
func names(list, separator string) []string {
	var found []string
	for item := range strings.SplitSeq(list, separator) {
		if words := strings.Fields(item); len(words) > 0 {
			name, _, _ := strings.Cut(words[0], ":")
			found = append(found, name)
		}
	}
	return found
}

// closure returns the packages that wanted need to work, and wanted, sorted.
func (db *installed) closure(wanted []string) ([]string, error) {
	var all []string
	seen := map[string]bool{}
	queue := slices.Clone(wanted)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		if db.version[name] == "" {
			return nil, fmt.Errorf("package %s is not installed: run scripts/deps", name)
		}
		all = append(all, name)
		for need := range strings.SplitSeq(db.needs[name], ",") {
			// the first alternative that is there; dpkg itself has seen to it that there is one
			for _, other := range names(need, "|") {
				if db.version[other] == "" && len(db.provides[other]) > 0 {
					other = db.provides[other][0]
				}
				if db.version[other] != "" {
					queue = append(queue, other)
					break
				}
			}
		}
	}
	slices.Sort(all)
	return all, nil
}
