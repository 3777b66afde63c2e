package sandbox

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// launchEnv names the variable that makes a process of this program a launcher.
const launchEnv = "GRADE_LAUNCH"

// launched is what a launcher writes to its status pipe once all barriers stand.
const launched = "launched"

// served is whether this program serves as its own launcher.
var served bool

// launch is what a launcher does: it raises the barriers around itself and then becomes the program.
type launch struct {
	Path   string
	Args   []string // with the program's own name
	Env    []string
	Dir    string
	Rlimit map[int]uint64
	User   int // 0: stay who we are

	Root     string // the folder over which the view of the file system is built; "": keep that of the grader
	Landlock bool
	Read     []string // files and folders that the program sees, and may read
	Write    []string // folders in which it may do as it likes, and devices
	Exec     []string // files that it may execute
	Status   int      // descriptor of the status pipe
}

// Serve turns this process into what the grader started it as, if it did: the launcher of a
// confined process. It returns otherwise. A program that grades calls it first in main; without it, no
// process is confined.
//
// The barriers are raised in a process of our own that then executes the test binary, because between a fork and
// an exec a Go program can do no such work.
func Serve() {
	if text, ok := os.LookupEnv(probeEnv); ok {
		os.Exit(serveProbe(text))
	}
	text, ok := os.LookupEnv(launchEnv)
	if !ok {
		served = true
		return
	}
	var l launch
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox: not a launch:", err)
		os.Exit(exitLaunch)
	}
	unix.CloseOnExec(l.Status)
	err := l.run()
	unix.Write(l.Status, []byte(err.Error()))
	os.Exit(exitLaunch)
}

const exitLaunch = 125

// run executes the program; it returns only if that cannot be.
func (l *launch) run() error {
	runtime.LockOSThread() // capabilities and the death signal are a thread's
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"a view of the file system", l.enter},
		{"Landlock", l.restrict},
		{"limits", l.limit},
		{"another user", l.drop},
		{"the working directory", func() error { return unix.Chdir(l.Dir) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	// What this process was started with beyond what it was given, by the process that started the grader, is not the program's.
	if err := unix.CloseRange(uint(l.Status), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("descriptors: %w", err)
	}
	if _, err := unix.Write(l.Status, []byte(launched)); err != nil {
		return err
	}
	return fmt.Errorf(": %w", syscall.Exec(l.Path, l.Args, l.Env))
}

// enter builds a file system that holds only what is listed, read-only except for the folders in which
// the program may write, and makes it the root.
func (l *launch) enter() error {
	if l.Root == "" {
		return nil
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("own mounts: %w", err)
	}
	if err := unix.Mount("tmpfs", l.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m,mode=0755"); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	for _, path := range append(append([]string{}, l.Read...), l.Write...) {
		if err := l.bind(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := l.mountProc(); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	if err := unix.Chdir(l.Root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil { // the old root is then mounted over the new one
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the old root: %w", err)
	}
	seal := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID}
	if err := unix.MountSetattr(-1, "/", unix.AT_RECURSIVE, &seal); err != nil {
		return fmt.Errorf("read-only: %w", err)
	}
	for _, path := range l.Write {
		if err := unix.MountSetattr(-1, path, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return fmt.Errorf("writable %s: %w", path, err)
		}
	}
	return nil
}

// bind shows a file or folder in the view where it is outside; a symbolic link stays one.
func (l *launch) bind(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	at := filepath.Join(l.Root, path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(target, at)
	case info.IsDir():
		err = os.MkdirAll(at, 0o755)
	default:
		err = os.WriteFile(at, nil, 0o644)
	}
	if err != nil {
		return err
	}
	// Recursively, as a user namespace may not take mounts apart that it got in one piece.
	return unix.Mount(path, at, "", unix.MS_BIND|unix.MS_REC, "")
}

// mountProc shows the processes of this pid namespace. /proc must not be hidden: the race detector reads
// its options, GORACE, from /proc/self/environ, and without them goes on after a race.
func (l *launch) mountProc() error {
	at := filepath.Join(l.Root, "proc")
	if err := os.Mkdir(at, 0o755); err != nil {
		return err
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	for _, options := range []string{"subset=pid", ""} {
		if unix.Mount("proc", at, "proc", flags, options) == nil {
			return nil
		}
	}
	// A container that masks parts of /proc lets nobody mount another. The old one shows more
	// processes, but Landlock lets this one look into none of them.
	return unix.Mount("/proc", at, "", unix.MS_BIND|unix.MS_REC, "")
}

// limit sets the limits that the kernel keeps.
func (l *launch) limit() error {
	for resource, most := range l.Rlimit {
		limit := syscall.Rlimit{Cur: most, Max: most}
		if err := syscall.Setrlimit(resource, &limit); err != nil {
			return fmt.Errorf("resource %d to %d: %w", resource, most, err)
		}
	}
	return nil
}

// restrict leaves of the file system only what is listed, by Landlock, which holds whatever else may give way.
func (l *launch) restrict() error {
	if !l.Landlock {
		return nil
	}
	rights := map[string]uint64{"/proc": mayList}
	for may, paths := range map[uint64][]string{mayList: l.Read, mayDoAll: l.Write, mayExecute: l.Exec} {
		for _, path := range paths {
			rights[path] |= may
		}
	}
	return landlock(rights)
}

// drop gives up what is left of privileges, for good.
func (l *launch) drop() error {
	if l.User != 0 {
		if err := syscall.Setgroups(nil); err != nil {
			return fmt.Errorf("groups: %w", err)
		}
		if err := syscall.Setresgid(l.User, l.User, l.User); err != nil {
			return fmt.Errorf("group %d: %w", l.User, err)
		}
	}
	for capability := uintptr(0); unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0) == nil; capability++ {
	}
	if l.User != 0 {
		if err := syscall.Setresuid(l.User, l.User, l.User); err != nil {
			return fmt.Errorf("user %d: %w", l.User, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	// If the grader is killed, no test of its goes on. A change of user has cleared this.
	return unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}
