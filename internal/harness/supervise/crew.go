package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"distlabs/internal/harness/claim"
	"distlabs/internal/harness/report"
)

// A crew are the children that share the tests of one run: a test runs in the one that claims it first.
type crew struct {
	args     []string
	size     int
	children []*child
	printer  *printer
	dir      string // of the claims; "" if there is one child, which runs all tests
}

// mostChildren is how many children share the tests; more would be idle while the longest test runs.
const mostChildren = 4

func newCrew(args []string) (*crew, error) {
	c := &crew{args: args, size: crewSize(args), printer: &printer{out: os.Stdout}}
	if c.size > 1 {
		dir, err := os.MkdirTemp("", "labs-claims-")
		if err != nil {
			return nil, err
		}
		c.dir = dir
	}
	return c, nil
}

// crewSize is how many children share the tests: as many as there are processors, if all tests run, once, and nothing is asked for
// that takes one process, such as a profile, or output in the order of the tests.
func crewSize(args []string) int {
	for _, arg := range args {
		name, value := flagOf(arg)
		switch {
		case slices.Contains([]string{"test.paniconexit0", "test.timeout", testLog}, name):
		case name == "test.count" && value == "1":
		default:
			return 1
		}
	}
	return min(runtime.GOMAXPROCS(0), mostChildren)
}

// flagOf returns the name and the value of a flag: of go test's own, which are written with an equals sign.
func flagOf(arg string) (name, value string) {
	name, value, _ = strings.Cut(strings.TrimLeft(arg, "-"), "=")
	return name, value
}

// start starts child number i.
func (w *crew) start(exe string, i int) (*child, error) {
	receiver, err := report.NewReceiver()
	if err != nil {
		return nil, err
	}
	c := &child{receiver: receiver, stderr: &holder{out: os.Stderr}, story: newStory(), collected: make(chan error, 1)}
	c.cmd = exec.Command(exe, w.argsOf(i)...)
	c.cmd.Args[0] = os.Args[0]
	c.cmd.Stdout, c.cmd.Stderr = os.Stdout, c.stderr
	if i == 0 {
		c.cmd.Stdin = os.Stdin
	}
	c.cmd.WaitDelay = outputGrace
	receiver.Attach(c.cmd)
	if os.Getenv("GOGC") == "" {
		c.cmd.Env = append(c.cmd.Env, "GOGC=400") // memory is cheaper than time here
	}
	if w.dir != "" {
		c.cmd.Stdout = w.printer.voice()
		processors := (runtime.GOMAXPROCS(0) + w.size - 1) / w.size
		c.cmd.Env = append(c.cmd.Env, claim.Env+"="+w.dir, fmt.Sprintf("GOMAXPROCS=%d", processors))
	}
	if c.races, err = watchRaces(c.cmd); err != nil {
		receiver.Started()
		receiver.Close()
		return nil, err
	}
	endWithParent(c.cmd)
	err = c.cmd.Start()
	receiver.Started()
	if err != nil {
		c.close()
		return nil, err
	}
	go func() {
		_, err := receiver.Collect(c.story.add)
		c.collected <- err
	}()
	return c, nil
}

// testLog is where package testing notes which files and variables a test asks for, so that go test knows when its result is still good.
const testLog = "test.testlogfile"

// argsOf returns the arguments of child number i. Each has a log of its own.
func (w *crew) argsOf(i int) []string {
	args := slices.Clone(w.args)
	for k, arg := range args {
		if name, _ := flagOf(arg); name == testLog && i > 0 {
			args[k] = "-" + testLog + "=" + w.logOf(i)
		}
	}
	return args
}

// joinLogs adds the logs of the other children to the first one's. An error costs no more than that go test runs the tests again next time.
func (w *crew) joinLogs() {
	at := slices.IndexFunc(w.args, func(arg string) bool { name, _ := flagOf(arg); return name == testLog })
	if at < 0 || w.dir == "" {
		return
	}
	_, path := flagOf(w.args[at])
	all, err := os.ReadFile(path)
	if err != nil {
		return
	}
	for i := 1; i < w.size; i++ {
		text, _ := os.ReadFile(w.logOf(i))             // there is none of a child that could not be started
		_, lines, _ := strings.Cut(string(text), "\n") // the first says what file this is
		all = append(all, lines...)
	}
	_ = os.WriteFile(path, all, 0o666)
}

func (w *crew) logOf(i int) string { return filepath.Join(w.dir, fmt.Sprintf("log-%d", i)) }

func (w *crew) processes() []*os.Process {
	var all []*os.Process
	for _, c := range w.children {
		all = append(all, c.cmd.Process)
	}
	return all
}

func (w *crew) remove() {
	if w.dir != "" {
		os.RemoveAll(w.dir)
	}
}
