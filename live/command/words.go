package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"distlabs/live/cluster"
)

// slowBy is how much later messages arrive on a link that is made slow: more than a heartbeat, less than an election timeout.
const slowBy = 200 * time.Millisecond

// A word is one thing that the user can have done.
type word struct {
	name string
	key  byte
	args int // how many servers it names
	help string
	do   func(c *cluster.Cluster, servers []int) error
}

var words = []word{
	{"kill", 'k', 1, "kill -9", func(c *cluster.Cluster, s []int) error { c.Kill(s[0]); return nil }},
	{"restart", 'r', 1, "start again what was killed", func(c *cluster.Cluster, s []int) error { return c.Start(s[0]) }},
	{"pause", 'p', 1, "SIGSTOP", func(c *cluster.Cluster, s []int) error { return c.Pause(s[0]) }},
	{"continue", 'c', 1, "SIGCONT", func(c *cluster.Cluster, s []int) error { return c.Resume(s[0]) }},
	{"isolate", 'i', 1, "cut off from all others", func(c *cluster.Cluster, s []int) error { c.Isolate(s[0]); return nil }},
	{"cut", 'x', 2, "cut the links between two", func(c *cluster.Cluster, s []int) error { c.Cut(s[0], s[1]); return nil }},
	{"oneway", 'o', 2, "cut the link from one to another, not back", func(c *cluster.Cluster, s []int) error { c.CutOneWay(s[0], s[1]); return nil }},
	{"uncut", 'u', 2, "undo the cut of the link from one to another", func(c *cluster.Cluster, s []int) error { c.HealOneWay(s[0], s[1]); return nil }},
	{"slow", 's', 2, fmt.Sprintf("messages from one to another take %v longer", slowBy), func(c *cluster.Cluster, s []int) error { c.Slow(s[0], s[1], slowBy); return nil }},
	{"fast", 'f', 2, "undo slow", func(c *cluster.Cluster, s []int) error { c.Slow(s[0], s[1], 0); return nil }},
	{"heal", 'h', 0, "undo all cuts and slow links", func(c *cluster.Cluster, _ []int) error { c.Heal(); return nil }},
	{"wipe", 'w', 1, "delete the disk of one that was killed", func(c *cluster.Cluster, s []int) error { return c.Wipe(s[0]) }},
}

// A question is one thing that a user can ask of a server's code: its name, a server, and what it needs besides.
type question struct {
	name  string
	needs []string
}

// obey does what a line says: "kill 1", or "put 1 colour red" where the lab's code understands that. It returns what is to be said of it.
func (l lab) obey(c *cluster.Cluster, line string) (string, error) {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return "", nil
	}
	for _, w := range words {
		if w.name == fields[0] {
			return "", w.apply(c, fields[1:])
		}
	}
	for _, q := range l.questions {
		if q.name == fields[0] {
			return q.ask(c, fields[1:])
		}
	}
	return "", fmt.Errorf("live: there is no command %q; there are %s and quit", fields[0], l.names())
}

func (q question) ask(c *cluster.Cluster, args []string) (string, error) {
	if len(args) != 1+len(q.needs) {
		return "", fmt.Errorf("live: %s needs %s, for example: %s", q.name, strings.Join(append([]string{"a server"}, q.needs...), ", "), q.example())
	}
	server, err := serverOf(c, args[0])
	if err != nil {
		return "", err
	}
	return c.Ask(server, append([]string{q.name}, args[1:]...)...)
}

func (q question) example() string {
	return strings.Join(append([]string{q.name, "1"}, q.needs...), " ")
}

// serverOf reads the number of a server.
func serverOf(c *cluster.Cluster, arg string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(arg, "n"))
	if err != nil || n < 1 || n > c.Servers() {
		return 0, fmt.Errorf("live: there is no server %q; there are 1 to %d", arg, c.Servers())
	}
	return n, nil
}

func (w word) apply(c *cluster.Cluster, args []string) error {
	if len(args) != w.args {
		return fmt.Errorf("live: %s needs %d servers, for example: %s", w.name, w.args, strings.TrimSpace(w.name+strings.Repeat(" 1", w.args)))
	}
	var servers []int
	for _, arg := range args {
		n, err := serverOf(c, arg)
		if err != nil {
			return err
		}
		servers = append(servers, n)
	}
	if w.args == 2 && servers[0] == servers[1] {
		return fmt.Errorf("live: %s needs two different servers", w.name)
	}
	return w.do(c, servers)
}

func (l lab) names() string {
	var list []string
	for _, w := range words {
		list = append(list, w.name)
	}
	for _, q := range l.questions {
		list = append(list, q.name)
	}
	return strings.Join(list, ", ")
}
