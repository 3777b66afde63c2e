package report

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// inherited is taken before any test runs, as a harness does.
var inherited = Inherit()

const childCaseEnv = "REPORT_TEST_CHANNEL"

// TestChannelChild is the child of the tests below.
func TestChannelChild(t *testing.T) {
	switch os.Getenv(childCaseEnv) {
	case "":
		t.Skip("runs in child processes only")
	case "two":
		_, set := os.LookupEnv(ResultsEnv)
		require.False(t, set, "the variable is still there")
		require.NoError(t, inherited.Send(Event{Kind: Start, Test: "TestA1A"}))
		require.NoError(t, inherited.Send(Event{Kind: Done}))
	case "race for the line":
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 50 {
					inherited.Send(Event{Kind: Seed, Test: strings.Repeat("x", 5000)})
				}
			})
		}
		all.Wait()
	case "orphan":
		inherited.Send(Event{Kind: Start, Test: "TestA1A"})
		orphan := exec.Command("sleep", "30")
		if c, ok := inherited.out.(*os.File); ok {
			orphan.ExtraFiles = []*os.File{c}
		}
		orphan.Start()
		fmt.Println(orphan.Process.Pid)
	}
}

// transports are both ways in which events travel, as far as this system has them.
var transports = map[string]func([]byte) (transport, error){"native": newTransport, "files": newFiles}

// runChild runs TestChannelChild and returns what arrived.
func runChild(t *testing.T, open func([]byte) (transport, error), name string) ([]Event, string, error) {
	t.Helper()
	r, err := newReceiver(open)
	require.NoError(t, err)
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChannelChild$")
	cmd.Env = append(os.Environ(), childCaseEnv+"="+name, "GORACE=atexit_sleep_ms=0")
	var out strings.Builder
	cmd.Stdout = &out
	r.Attach(cmd)
	err = cmd.Start()
	r.Started()
	require.NoError(t, err)
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		r.Ended()
		close(exited)
	}()
	var live []Event
	events, err := r.Collect(func(e Event) { live = append(live, e) })
	<-exited
	require.Empty(t, cmp.Diff(events, live))
	return events, out.String(), err
}

func TestEventsArriveFromAChild(t *testing.T) {
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			events, _, err := runChild(t, open, "two")
			require.NoError(t, err)
			require.Empty(t, cmp.Diff([]Event{{Seq: 1, Kind: Start, Test: "TestA1A"}, {Seq: 2, Kind: Done}}, events))

			events, _, err = runChild(t, open, "race for the line")
			require.NoError(t, err)
			require.Len(t, events, 400)
		})
	}
}

// A process that outlives the child and holds the pipe must not hold the parent.
func TestAnOrphanDoesNotBlockCollect(t *testing.T) {
	begin := time.Now()
	events, out, err := runChild(t, newTransport, "orphan")
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Less(t, time.Since(begin), 20*time.Second)
	var pid int
	fmt.Sscan(out, &pid)
	if p, err := os.FindProcess(pid); err == nil && pid > 0 {
		p.Kill()
	}
}

// fakePipe is a transport whose bytes a test wrote itself.
type fakePipe struct{ io.Reader }

func (fakePipe) Close() error            { return nil }
func (fakePipe) attach(*exec.Cmd) string { return "" }
func (fakePipe) started()                {}
func (fakePipe) ended()                  {}

// collect receives what a child would have written.
func collect(key []byte, written string) ([]Event, error) {
	r := &Receiver{key: key, pipe: fakePipe{strings.NewReader(written)}}
	return r.Collect(nil)
}

func TestCollectNamesTheFirstLie(t *testing.T) {
	key := []byte(strings.Repeat("k", keySize))
	line := func(key []byte, seq int, test string) string {
		signed, err := sign(key, Event{Seq: seq, Kind: End, Test: test, Result: &Result{Status: Fail}})
		require.NoError(t, err)
		return string(signed) + "\n"
	}
	one, two, three := line(key, 1, "TestA"), line(key, 2, "TestB"), line(key, 3, "TestC")
	forged := line([]byte("guess"), 2, "TestB")
	for _, c := range []struct {
		name    string
		written string
		tests   string
		err     string
	}{
		{name: "all well", written: one + two + three, tests: "TestA TestB TestC"},
		{name: "nothing", written: "", tests: ""},
		{name: "noise on a line of its own", written: one + "hello\n" + two, tests: "TestA TestB", err: `line 2 of the results channel, "hello": not signed`},
		{name: "forged", written: one + forged + two, tests: "TestA TestB", err: "line 2"},
		{name: "altered", written: one + strings.Replace(two, "fail", "pass", 1), tests: "TestA", err: "not signed"},
		{name: "one is missing", written: one + three, tests: "TestA TestC", err: "event 3 follows event 1"},
		{name: "replayed", written: one + two + one + three, tests: "TestA TestB TestC", err: "event 1 came again after event 2"},
		{name: "cut off", written: one + two[:len(two)/2], tests: "TestA", err: "line 2"},
		{name: "no mac", written: `{"seq":1,"kind":"done"}` + "\n", err: "not signed"},
		{name: "empty mac", written: `{"seq":1,"kind":"done","mac":""}` + "\n", err: "not signed"},
		{name: "bare mac", written: `,"mac":"}` + "\n", err: "not signed"},
		{name: "too much", written: one + strings.Repeat(strings.Repeat(" ", 1023)+"\n", maxEvents/1024), tests: "TestA", err: "more than 16777216 bytes"},
		{name: "one endless line", written: one + strings.Repeat("x", maxEvents), tests: "TestA", err: "more than 16777216 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, err := collect(key, c.written)
			var tests []string
			for _, e := range events {
				tests = append(tests, e.Test)
			}
			require.Equal(t, c.tests, strings.Join(tests, " "))
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
		})
	}
}

func TestCloseEndsCollect(t *testing.T) {
	for name, open := range transports {
		t.Run(name, func(t *testing.T) {
			r, err := newReceiver(open)
			require.NoError(t, err)
			go func() {
				time.Sleep(10 * time.Millisecond)
				r.Close()
			}()
			_, err = r.Collect(nil)
			require.NoError(t, err)
		})
	}
}

func TestNilChannelDoesNothing(t *testing.T) {
	var c *Channel
	require.NoError(t, c.Send(Event{Kind: Start}))
}

func TestInheritWithoutAChannel(t *testing.T) {
	for _, value := range []string{"", "nonsense", "/no/such/folder", "901,902"} {
		t.Setenv(ResultsEnv, value)
		require.Nil(t, Inherit(), "%q", value)
		_, set := os.LookupEnv(ResultsEnv)
		require.False(t, set)
	}
}
