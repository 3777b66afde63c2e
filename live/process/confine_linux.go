package process

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
)

// confine takes from this process, for good, all files but what is below its folders and what names and times need. The network stays: the process is
// there to use it. Where the kernel has no Landlock, nothing is taken; the gate and the bounds of package cluster hold in any case.
//
// It comes after the configuration and the keys were read, and before the program starts a node: what the lab's code could do with a file is over
// then.
func confine(folders ...string) error {
	err := landlock.V5.BestEffort().RestrictPaths(
		landlock.RWDirs(folders...),
		landlock.ROFiles("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/localtime").IgnoreIfMissing(),
		landlock.RODirs("/usr/share/zoneinfo").IgnoreIfMissing(),
	)
	if err != nil {
		return fmt.Errorf("live: the process cannot be confined: %w", err)
	}
	return nil
}
