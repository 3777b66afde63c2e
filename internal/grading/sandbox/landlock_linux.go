package sandbox

import (
	"fmt"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// What a program may do with a file or folder; the rest of Landlock's rights (links, devices, sockets, pipes) nobody needs.
const (
	mayRead     = ll.AccessFSReadFile
	mayList     = mayRead | ll.AccessFSReadDir
	mayExecute  = mayRead | ll.AccessFSExecute
	mayWrite    = mayRead | ll.AccessFSWriteFile | ll.AccessFSTruncate
	mayDoAll    = mayList | mayWrite | ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSRemoveFile | ll.AccessFSRemoveDir // but not execute
	onFilesOnly = mayExecute | mayWrite | ll.AccessFSIoctlDev
)

// landlockABI is the kernel's version of Landlock, 0 if it has none.
func landlockABI() int {
	version, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return version
}

// landlocked is what a version of Landlock can forbid: every right over files, TCP, and signals and abstract
// sockets beyond the process's own descendants.
func landlocked(abi int) ll.RulesetAttr {
	rights := ll.RulesetAttr{HandledAccessFS: ll.AccessFSMakeSym<<1 - 1}
	for _, more := range []struct {
		since int
		add   ll.RulesetAttr
	}{
		{2, ll.RulesetAttr{HandledAccessFS: ll.AccessFSRefer}},
		{3, ll.RulesetAttr{HandledAccessFS: ll.AccessFSTruncate}},
		{4, ll.RulesetAttr{HandledAccessNet: ll.AccessNetBindTCP | ll.AccessNetConnectTCP}},
		{5, ll.RulesetAttr{HandledAccessFS: ll.AccessFSIoctlDev}},
		{6, ll.RulesetAttr{Scoped: ll.ScopeAbstractUnixSocket | ll.ScopeSignal}},
	} {
		if abi >= more.since {
			rights.HandledAccessFS |= more.add.HandledAccessFS
			rights.HandledAccessNet |= more.add.HandledAccessNet
			rights.Scoped |= more.add.Scoped
		}
	}
	return rights
}

// landlock restricts this thread, and the program that it executes, to the rights given by path.
//
// It makes the system calls itself: the package above them restricts all threads of a process, for which it
// has to find them in /proc, and in a new pid namespace that may still be the old one's.
func landlock(rights map[string]uint64) error {
	all := landlocked(landlockABI())
	ruleset, err := ll.LandlockCreateRuleset(&all, 0)
	if err != nil {
		return fmt.Errorf("rule set: %w", err)
	}
	defer unix.Close(ruleset)
	for path, allowed := range rights {
		if err := landlockPath(ruleset, path, allowed&all.HandledAccessFS); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	return ll.LandlockRestrictSelf(ruleset, 0)
}

// landlockPath allows what is given for a file, or for all below a folder.
func landlockPath(ruleset int, path string, allowed uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var is unix.Stat_t
	if err := unix.Fstat(fd, &is); err != nil {
		return err
	}
	if is.Mode&unix.S_IFMT != unix.S_IFDIR {
		allowed &= onFilesOnly
	}
	return ll.LandlockAddPathBeneathRule(ruleset, &ll.PathBeneathAttr{AllowedAccess: allowed, ParentFd: fd}, 0)
}
