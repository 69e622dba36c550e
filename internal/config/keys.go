package config

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// groupKeys describes the group file.
var groupKeys = []key[Group]{
	{
		name: "leader", original: "leader_id", values: "the ID of one of the variants", missing: ErrMissingLeader,
		doc:  "The variant that talks to the outside world. The others get its results.",
		set:  func(d *decoder, n *node, g *Group) { g.Leader = d.id(n) },
		show: func(g *Group) string { return strconv.Itoa(g.Leader) },
	},
	{
		name: "variants", values: fmt.Sprintf("a list of %d to %d variants", MinVariants, MaxVariants), missing: ErrMissingKey, compound: true,
		doc: "The members of the group, in any order.",
		set: setVariants, show: showVariants,
	},
	{
		name: "group", values: "words of letters, digits, _ and -, joined by dots", defDoc: "the file's base name without its extension",
		doc: "The group's name. It stands in reports, in certificates and in the default folders, and is the same in all files of the group.",
		set: func(d *decoder, n *node, g *Group) {
			if d.is(n, `text in quotes, such as group: "web"`, textNode) && d.goodName(n.line, n.text) {
				g.Name = n.text
			}
		},
		show: func(g *Group) string { return g.Name },
	},
	oneOf(key[Group]{name: "policy", def: "full",
		doc: "Which calls are exempt from cross-checking. Each policy exempts more than the one before."},
		policies, func(g *Group) *Policy { return &g.Policy }),
	oneOf(key[Group]{name: "backend", def: "auto", doc: "The way system calls get into the monitor."},
		backends, func(g *Group) *Backend { return &g.Backend }),
	oneOf(key[Group]{name: "entry", def: "kernel", doc: "Whether proven call sites are patched on top of the back end."},
		entries, func(g *Group) *Entry { return &g.Entry }),
	oneOf(key[Group]{name: "guard", def: "full", doc: "What `backend: kmod` does about code that could get at the monitor."},
		guards, func(g *Group) *Guard { return &g.Guard }),
	oneOf(key[Group]{name: "fs", def: "auto", doc: "Whose files the variants work on."},
		filesystems, func(g *Group) *FS { return &g.FS }),
	oneOf(key[Group]{name: "on_divergence", def: "kill", doc: "What a divergence does to the group."},
		responses, func(g *Group) *Response { return &g.OnDivergence }),
	oneOf(key[Group]{name: "program", def: "same", doc: "Whether all variants run the same program file."},
		programs, func(g *Group) *Program { return &g.Program }),
	duration(key[Group]{name: "lag", def: "10s",
		doc: "How much CPU time a variant may use without arriving where its twin waits. Time in which it is stopped or frozen does not count."},
		100*time.Millisecond, time.Hour, func(g *Group) *time.Duration { return &g.Lag }),
	duration(key[Group]{name: "lag_wall", def: "10m",
		doc: "The same in wall time, for a variant that sleeps for ever. Not less than `lag`."},
		time.Second, 24*time.Hour, func(g *Group) *time.Duration { return &g.LagWall }),
	duration(key[Group]{name: "peer_timeout", def: "3s",
		doc: "How long a peer may be silent before it is lost (exit code 69). Heartbeats go every 0.5 s."},
		time.Second, 10*time.Minute, func(g *Group) *time.Duration { return &g.PeerTimeout }),
	duration(key[Group]{name: "start_timeout", def: "1m",
		doc: "How long the first variant waits for the last one to start, and `monmod supervise` for its program (exit code 69)."},
		time.Second, 24*time.Hour, func(g *Group) *time.Duration { return &g.StartTimeout }),
	withShow(folder(key[Group]{name: "keys", defDoc: "`/etc/monmod/keys/<group>`",
		doc: "The folder of the group's keys on this host, made by `monmod keygen`. Only variants with an address need keys. `none` runs them without authentication and warns at every start."},
		func(g *Group) *string { return &g.Keys }, KeysNone), showKeys),
	folder(key[Group]{name: "logs", defDoc: "`/var/log/monmod/<group>` for root, else `$XDG_STATE_HOME/monmod/<group>`, which is in ~/.local/state if it is not set",
		doc: "The folder for reports and events on this host."},
		func(g *Group) *string { return &g.Logs }),
	{
		name: "rules", values: "a list of rules", defDoc: "no rules", compound: true,
		doc: "Exceptions from the policy by call and path, see below.",
		set: setRules, show: showRules,
	},
	a8("replication_batch_size", "a whole number", "Accepted, without effect: records are always batched, and how many is decided while running.",
		func(d *decoder, n *node, g *Group) {
			if v, ok := d.number(n, 0, 1<<30); ok && v > 0 {
				g.Notes = append(g.Notes, fmt.Sprintf("%sreplication_batch_size %d has no effect: records are always batched, and how many is decided while running",
					position(d.file, n.line), v))
			}
		}),
	a8("restore_probability", "0", "Accepted as 0. Another value is not in this version.",
		func(d *decoder, n *node, _ *Group) {
			if d.is(n, "0", integerNode, decimalNode) && !isZero(n) {
				d.later(n, "restore_probability", n.text, "write 0 or remove it")
			}
		}),
	a8("inject_fault_probability", "0", "Accepted as 0. Another value is refused: a group in use injects no faults.",
		zeroOrNothing("inject_fault_probability", "a group in use injects no faults")),
	a8("socket_read_usleep", "0", "Accepted as 0. Another value is refused: reading a socket waits for data and needs no pause.",
		zeroOrNothing("socket_read_usleep", "reading a socket waits for data and needs no pause")),
	a8("ignore_first_n", "0", "Accepted as 0. Another value is refused: every call counts from the first.",
		zeroOrNothing("ignore_first_n", "every call counts from the first")),
}

func a8(name, values, doc string, set func(*decoder, *node, *Group)) key[Group] {
	return key[Group]{name: name, values: values, doc: doc, a8: true, defDoc: "0", set: set}
}

// zeroOrNothing is for a setting of the original that only its zero agrees with.
func zeroOrNothing(name, why string) func(*decoder, *node, *Group) {
	return func(d *decoder, n *node, _ *Group) {
		if d.is(n, "0", integerNode, decimalNode) && !isZero(n) {
			d.bad(n.line, ErrNoMeaning, "write 0 or remove it, "+why, "%s %s has no meaning here", name, n.text)
		}
	}
}

func isZero(n *node) bool {
	v, err := strconv.ParseFloat(n.text, 64)
	return err == nil && v == 0
}

func withShow(k key[Group], show func(*Group) string) key[Group] {
	k.show = show
	return k
}

// showKeys: where the keys lie is each host's own affair, whether there are
// any is the group's.
func showKeys(g *Group) string {
	if g.Keys == KeysNone {
		return KeysNone
	}
	return "used"
}

// variantKeys describes one element of variants.
var variantKeys = []key[Variant]{
	{
		name: "id", values: fmt.Sprintf("a whole number from 1 to %d", MaxID), missing: ErrMissingKey,
		doc:  "The variant's number, its own in the group. Of two variants the lower ID listens, the higher one dials.",
		set:  func(d *decoder, n *node, v *Variant) { v.ID = d.id(n) },
		show: func(v *Variant) string { return strconv.Itoa(v.ID) },
	},
	{
		name: "address", values: "an IPv4 or IPv6 literal or a host name", defDoc: "none: a variant of the same host, reached by a unix socket",
		doc: "Where the others reach the variant, by TCP and TLS. A port goes into `port`, and IPv6 is written without brackets.",
		set: func(d *decoder, n *node, v *Variant) {
			if d.is(n, "text in quotes", textNode) {
				v.Address = d.address(n)
			}
		},
		show: func(v *Variant) string { return meaningOf(v.Address) },
	},
	{
		name: "port", values: "a whole number from 1 to 65535", defDoc: fmt.Sprintf("%d", DefaultPort),
		doc: "The TCP port at the address.",
		set: func(d *decoder, n *node, v *Variant) {
			if p, ok := d.number(n, 1, 65535); ok {
				v.Port = int(p)
			}
		},
		show: func(v *Variant) string { return strconv.Itoa(v.Port) },
	},
	{
		name: "breakpoints", values: "an empty list", defDoc: "none", a8: true, compound: true,
		doc: "In an element of `variants`. Accepted empty: checkpoints are not in this version.",
		set: func(d *decoder, n *node, _ *Variant) {
			if d.is(n, "an empty list, ( )", listNode) && len(n.items) > 0 {
				d.later(n, "breakpoints", "a checkpoint", "remove the breakpoints")
			}
		},
	},
}

func setVariants(d *decoder, n *node, g *Group) {
	if !d.is(n, "a list, one element for each variant", listNode) {
		return
	}
	if len(n.items) < MinVariants || len(n.items) > MaxVariants {
		d.bad(n.line, ErrAbsurd, fmt.Sprintf("list %d to %d", MinVariants, MaxVariants), "the group has %s", count(len(n.items), "variant"))
		return
	}
	for i, item := range n.items {
		var v Variant
		decodeTable(d, item, variantKeys, &v)
		if v.Address != "" && v.Port == 0 {
			v.Port = DefaultPort
		}
		if v.Port != 0 && !item.has("address") {
			d.bad(item.at("port"), ErrMissingKey, "add its address, or remove the port", "a port without an address")
		}
		for j, other := range g.Variants {
			if v.ID == other.ID && v.ID != 0 {
				d.bad(item.at("id"), ErrDuplicateID, "give each variant an ID of its own", "variant ID %d is taken, first in line %d", v.ID, n.items[j].at("id"))
			}
			if v.Address != "" && v.Address == other.Address && v.Port == other.Port {
				d.bad(item.at("address"), ErrDuplicateAddress, "give one of them another port", "address %s port %d is taken, first in line %d",
					v.Address, v.Port, n.items[j].at("address"))
			}
		}
		if i < MaxVariants {
			g.Variants = append(g.Variants, v)
		}
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// checkGroup judges what no key can be judged by alone, and puts the variants
// in order. root gives the lines.
func (d *decoder) checkGroup(root *node, g *Group) {
	if !root.has("group") {
		d.goodName(root.line, g.Name)
	}
	if g.Lag > 0 && g.LagWall > 0 && g.LagWall < g.Lag {
		d.bad(root.at("lag_wall"), ErrAbsurd, "make it "+spell(g.Lag)+" or more, or lower lag", "lag_wall %s is less than lag %s", spell(g.LagWall), spell(g.Lag))
	}
	slices.SortStableFunc(g.Variants, func(a, b Variant) int { return a.ID - b.ID })
	if g.Leader == 0 || len(g.Variants) == 0 || slices.ContainsFunc(g.Variants, func(v Variant) bool { return v.ID == 0 }) {
		return // the cause has been said
	}
	if _, err := g.Variant(g.Leader); err != nil {
		leader, _ := find(groupKeys, "leader")
		d.bad(root.at(leader.in(d.original)), ErrLeaderNotVariant, "name one of "+list(g.ids()), "leader %d is none of the variants", g.Leader)
	}
}

func (d *decoder) goodName(line int, name string) bool {
	if len(name) <= maxName && groupName.MatchString(name) {
		return true
	}
	d.bad(line, ErrBadValue, "set group to a name such as web-1.test, words of letters, digits, _ and - joined by dots, 63 bytes at most", "%s cannot be a group's name", strconv.Quote(name))
	return false
}
