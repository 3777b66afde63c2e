package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
)

// Some commands take labs as arguments, others take folders and are told the labs
// by --labs. Who mixes them up is told which of them a command wants.

// noLabs refuses the name of a lab or part among arguments that are paths. A path
// that exists is one, whatever else it names.
func noLabs(c *course.Course, args []string) error {
	for _, arg := range args {
		if _, err := os.Stat(arg); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if _, err := c.Select(arg); err == nil {
			return usage(fmt.Errorf("%s does not exist; labs and parts are chosen by a flag: --labs %s", arg, arg))
		}
	}
	return nil
}

// noLabsAtAll is noLabs for a command that takes no arguments.
func noLabsAtAll(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Errorf("%s takes no arguments, such as %q; labs are chosen by a flag: --labs", cmd.CommandPath(), args[0]))
	}
	return nil
}

// noSubmissions explains err, which says that an argument is no lab: it may be
// somebody's folder or archive.
func noSubmissions(err error, args []string) error {
	for _, arg := range args {
		info, statErr := os.Stat(arg)
		if statErr == nil && (info.IsDir() || submission.IsArchive(arg)) {
			return usage(fmt.Errorf("%w; to grade what is in %s: --submission %s", err, arg, arg))
		}
	}
	return err
}
