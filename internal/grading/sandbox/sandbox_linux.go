package sandbox

import (
	"context"
	"crypto/rand"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cookieEnv names the variable by which the processes of one command are told from all others.
const cookieEnv = "GRADE_PROCESS"

// system is what a dynamically linked test binary reads, and the time zones.
var system = []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/nix/store", "/gnu/store", "/etc/ld.so.cache",
	"/usr/share/zoneinfo", "/dev/zero", "/dev/urandom"}

// confined is a command in its sandbox, from before its start to after its end.
type confined struct {
	box    Box
	cookie string
	user   *lease   // nil: the grader's own
	status *os.File // where the launcher says that the barriers stand; nil: there is no launcher
	theirs *os.File // the launcher's end
}

// confine changes a command that is ready to start into one that raises the barriers first.
func (b Box) confine(cmd *exec.Cmd, c Command) (_ *confined, err error) {
	if !b.launcher || c.Limits == (Limits{}) {
		return nil, nil
	}
	k := &confined{box: b}
	defer func() {
		if err != nil {
			k.close()
		}
	}()
	if k.status, k.theirs, err = os.Pipe(); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	l := launch{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, Rlimit: c.Limits.kernel()}
	if c.Confine == nil || !b.user && !b.namespaces {
		delete(l.Rlimit, unix.RLIMIT_NPROC) // it would count all that this user runs
	}
	if c.Confine != nil {
		k.cookie = rand.Text()
		l.Env = append(l.Env, cookieEnv+"="+k.cookie)
		if err := k.confine(&l, cmd, c.Confine); err != nil {
			return nil, err
		}
	}
	l.Status = 3 + len(cmd.ExtraFiles)
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, k.theirs)
	cmd.Path, cmd.Args, cmd.Dir = launcher(), []string{"grade-launcher"}, ""
	cmd.Env = []string{launchEnv + "=" + string(text), "GOMAXPROCS=1"}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return k, nil
}

// launcher is Program where it cannot fail, and where another program may meanwhile have this one's path.
func launcher() string {
	if other != "" {
		return other
	}
	return "/proc/self/exe"
}

// confine adds the barriers of a confined process to its launch.
func (k *confined) confine(l *launch, cmd *exec.Cmd, c *Confinement) error {
	for _, path := range system {
		if _, err := os.Stat(path); err == nil {
			l.Read = append(l.Read, path)
		}
	}
	l.Read = append(l.Read, c.Read...)
	l.Write = []string{"/dev/null", c.Own}
	l.Landlock = k.box.landlock
	l.Exec = []string{c.Program}
	if loader := interpreter(c.Program); loader != "" {
		l.Exec = append(l.Exec, loader)
	}
	if k.box.user {
		var err error
		if k.user, err = leaseUser(); err != nil {
			return err
		}
		l.User = k.user.id
		if err := chownTree(c.Own, k.user.id); err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
	}
	if k.box.namespaces {
		l.Root = c.Scratch
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
		if !k.box.user { // only root can do without a user namespace
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
		}
	}
	return nil
}

// started closes the launcher's end of the status pipe in this process.
func (k *confined) started() {
	if k != nil {
		k.theirs.Close()
	}
}

// ended waits for the launcher's word, once the process has ended, and sweeps away what left its process group.
// The error says that the barriers did not stand, and so that nothing was run; "" is all
// that a launcher says which was killed first.
func (k *confined) ended() (said string) {
	if k == nil {
		return launched
	}
	text, _ := io.ReadAll(io.LimitReader(k.status, 4096))
	if k.cookie != "" && !k.box.namespaces { // a pid namespace is empty once its first process has ended
		sweep(k.cookie, k.user)
	}
	return string(text)
}

// close frees what the sandbox held.
func (k *confined) close() {
	if k == nil {
		return
	}
	k.status.Close()
	k.theirs.Close()
	k.user.release()
}

// kernel lists the limits that the kernel keeps, by resource.
func (l Limits) kernel() map[int]uint64 {
	all := map[int]uint64{unix.RLIMIT_CORE: 0}
	for resource, most := range map[int]int64{
		unix.RLIMIT_DATA: l.Data, unix.RLIMIT_FSIZE: l.File, unix.RLIMIT_NOFILE: int64(l.Files), unix.RLIMIT_NPROC: int64(l.Procs),
		unix.RLIMIT_CPU: int64((l.CPU + time.Second - 1) / time.Second),
	} {
		if most > 0 {
			all[resource] = uint64(most)
		}
	}
	return all
}

// interpreter is the dynamic loader that a program asks for, "" if it asks for none.
func interpreter(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name, _ := io.ReadAll(io.LimitReader(p.Open(), 4096))
			return strings.TrimRight(string(name), "\x00")
		}
	}
	return ""
}

func chownTree(dir string, id int) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, id, id)
	})
}

// lease is a user that for now belongs to one process only, so that the kernel keeps the tests of
// different submissions apart and counts the processes of each.
type lease struct{ id, socket int }

// The users that are leased, if the grader is root: systemd leaves these to nobody (https://systemd.io/UIDS-GIDS).
const firstUser, lastUser = 60600, 61100

// leaseUser finds a user that no grader on this machine has leased. An abstract socket with its number is the lock: the
// kernel gives it back if the grader dies.
func leaseUser() (*lease, error) {
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	for id := firstUser; id <= lastUser; id++ {
		err := unix.Bind(socket, &unix.SockaddrUnix{Name: fmt.Sprintf("@distlabs-grade-user-%d", id)})
		if err == nil {
			return &lease{id: id, socket: socket}, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			unix.Close(socket)
			return nil, fmt.Errorf("sandbox: %w", err)
		}
	}
	unix.Close(socket)
	return nil, fmt.Errorf("sandbox: the users %d to %d are all in use by graders", firstUser, lastUser)
}

func (l *lease) release() {
	if l != nil {
		unix.Close(l.socket)
	}
}

// Find tries what this machine offers, best first, each with a process that tests the barriers
// from inside. It works below the folder scratch.
func Find(ctx context.Context, scratch string) (Box, error) {
	box := Box{Isolation: Isolation{Level: IsolationGate}}
	highest, err := ceiling()
	if err != nil {
		return box, err
	}
	root := os.Geteuid() == 0
	if !served {
		box.Missing = []string{"this program does not call sandbox.Serve"}
		return box, box.demandUser(root)
	}
	for _, try := range []Box{
		{launcher: true, namespaces: true, landlock: true, user: true},
		{launcher: true, namespaces: true, landlock: true}, // root in a container may not mount, but in a user namespace it may
		{launcher: true, landlock: true, user: true},
		{launcher: true, landlock: true},
		{launcher: true, user: true},
		{launcher: true},
	} {
		if try.user && !root || try.namespaces && highest < IsolationOS {
			continue // only root can give a process another user
		}
		err := try.probe(ctx, scratch)
		if ctx.Err() != nil {
			return box, ctx.Err()
		}
		if err != nil {
			box.Missing = append(box.Missing, fmt.Sprintf("%s: %s", try, strings.ReplaceAll(err.Error(), "sandbox: ", "")))
			continue
		}
		try.Missing = box.Missing
		if err := try.demandUser(root); err != nil {
			return box, err
		}
		if highest < IsolationOS {
			box.Missing = append(box.Missing, isolationEnv+" asks for no more")
		}
		try.describe(box.Missing, highest)
		return try, nil
	}
	return box, box.demandUser(root)
}

// demandUser returns an error if root's grader would run strangers' code as root: with neither another user nor a user
// namespace a test could do all that root can.
func (b Box) demandUser(root bool) error {
	if !root || b.user || b.namespaces {
		return nil
	}
	text := "this grader is root, and can give the tests' processes no other user: run it as an ordinary user"
	why := func(missing string) bool { return strings.Contains(missing, Box{user: true}.String()) }
	if at := slices.IndexFunc(b.Missing, why); at >= 0 {
		text += " (" + b.Missing[at] + ")"
	}
	return fmt.Errorf("sandbox: %w: %s", ErrIsolation, text)
}

// String names what a sandbox is made of.
func (b Box) String() string {
	switch {
	case b.namespaces && !b.user:
		return "a user namespace, others and Landlock"
	case b.namespaces:
		return "namespaces and Landlock"
	case b.landlock && b.user:
		return "Landlock and a user of its own"
	case b.landlock:
		return "Landlock"
	case b.user:
		return "a user of its own"
	}
	return "limits"
}

// describe fills in what holds in a sandbox that stood the probe.
func (b *Box) describe(missing []string, highest int) {
	b.Level, b.Missing = IsolationGate, missing
	b.Barriers = []string{"limits on memory, processor time, processes and files"}
	if b.user {
		b.Barriers = append(b.Barriers, "an unprivileged user a process")
	}
	if b.landlock {
		b.Barriers = append(b.Barriers, fmt.Sprintf("Landlock (ABI %d)", landlockABI()))
	}
	if !b.namespaces {
		return
	}
	spaces := "network, pid, mount, ipc and uts namespaces"
	if !b.user {
		spaces = "user, " + spaces
	}
	b.Barriers = append(b.Barriers, spaces, "a file system of its own")
	b.Level = IsolationOS
	switch {
	case highest < IsolationContainer:
	case contained():
		b.Level = IsolationContainer
	default:
		b.Missing = append(b.Missing, "nothing says that the grader is in a container ("+containerEnv+" is not set)")
	}
}
