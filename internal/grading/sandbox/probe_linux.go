package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"distlabs/internal/grading/plain"
)

// probeEnv names the variable that makes a process of this program test its own sandbox.
const probeEnv = "GRADE_PROBE"

// probeOK is what a probe prints that found every barrier standing.
const probeOK = "the barriers stand\n"

// probe is what a process in a sandbox is to find.
type probe struct {
	Secret     string // a file that it must not be able to read
	Outside    string // a folder that it must not be able to write in
	Own        string // the folder that is its own
	Namespaces map[string]string
	Landlock   bool
	User       bool
}

// probe starts this program in the sandbox, to test the barriers from inside. Whatever stands in the way of that is
// a reason not to use the sandbox.
func (b Box) probe(ctx context.Context, scratch string) error {
	if b.landlock && landlockABI() < 1 {
		return errors.New("this kernel has no Landlock")
	}
	if b.user && !b.namespaces { // with a view of their own they do not come this way
		if err := passable(filepath.Dir(scratch)); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(scratch, "probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p := probe{Secret: filepath.Join(dir, "secret"), Outside: dir, Own: filepath.Join(dir, "own"), Landlock: b.landlock, User: b.user}
	view := filepath.Join(dir, "view")
	if err := errors.Join(os.WriteFile(p.Secret, nil, 0o666), os.Mkdir(p.Own, 0o777), os.Mkdir(view, 0o777)); err != nil {
		return err
	}
	if b.user {
		if err := os.Chmod(scratch, 0o711); err != nil { // the tests' users pass through it
			return err
		}
	}
	for _, path := range []string{p.Secret, dir} { // nothing but the sandbox is to stand in the way
		if err := os.Chmod(path, 0o777); err != nil {
			return err
		}
	}
	if b.namespaces {
		p.Namespaces = map[string]string{}
		for _, name := range []string{"net", "pid", "mnt", "ipc", "uts"} {
			p.Namespaces[name], _ = os.Readlink("/proc/self/ns/" + name)
		}
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	out, err := b.Run(ctx, Command{ // the launcher starts itself: its path need not be in the view
		Path: "/proc/self/exe", Dir: p.Own, Env: []string{probeEnv + "=" + string(text)},
		Time: 30 * time.Second, Limits: ProgramLimits(2<<30, time.Minute),
		Confine: &Confinement{Scratch: view, Own: p.Own, Program: "/proc/self/exe"},
	})
	switch {
	case err != nil:
		return err
	case out.Stopped != "":
		return errors.New(out.Stopped)
	case !bytes.HasPrefix(out.Output, []byte(probeOK)):
		return fmt.Errorf("status %d, %s", out.Exit, plain.FirstLine(string(out.Output)))
	}
	return nil
}

// passable returns an error unless every user may pass through a folder.
func passable(dir string) error {
	dir, err := filepath.Abs(dir)
	for ; err == nil; dir = filepath.Dir(dir) {
		var info os.FileInfo
		if info, err = os.Stat(dir); err == nil && info.Mode()&0o001 == 0 {
			return fmt.Errorf("other users cannot pass through %s: set TMPDIR to a folder that all may enter, such as /tmp", dir)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return err
}

// serveProbe tests the barriers from inside and returns the exit status.
func serveProbe(text string) int {
	var p probe
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		err = p.check()
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Print(probeOK)
	return 0
}

func (p probe) check() error {
	// The race detector reads GORACE there.
	if text, err := os.ReadFile("/proc/self/environ"); err != nil || !bytes.Contains(text, []byte(probeEnv)) {
		return fmt.Errorf("/proc/self/environ cannot be read: %v", err)
	}
	if err := os.WriteFile(filepath.Join(p.Own, "x"), nil, 0o666); err != nil {
		return fmt.Errorf("its own folder is not writable: %w", err)
	}
	if p.User && os.Getuid() == 0 {
		return errors.New("it is still root")
	}
	if p.Landlock {
		if _, err := os.ReadFile(p.Secret); err == nil {
			return errors.New("it can read what is not its own")
		}
		if os.WriteFile(filepath.Join(p.Outside, "x"), nil, 0o666) == nil {
			return errors.New("it can write outside its folder")
		}
	}
	for name, outside := range p.Namespaces {
		if inside, err := os.Readlink("/proc/self/ns/" + name); err != nil || inside == outside {
			return fmt.Errorf("it is not in a %s namespace of its own (%v)", name, err)
		}
	}
	if p.Namespaces != nil {
		if conn, err := net.Dial("udp", "192.0.2.1:9"); err == nil { // an address for documentation: nothing is sent
			conn.Close()
			return errors.New("it has a route to other machines")
		}
	}
	return nil
}
