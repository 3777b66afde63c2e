//go:build linux

package autograder

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/rotation"
)

// rootAsInGradescope makes a root of its own, in a mount namespace, and runs a command there: /autograder is where
// Gradescope has it, of this machine there are /usr, /etc and the devices, and the environment is as good as empty. Its
// arguments are the folder to be /autograder, an empty folder for the root, the Go installation, the modules and the builds.
const rootAsInGradescope = `
set -e
autograder=$1 root=$2 goroot=$3 modules=$4 builds=$5
shift 5
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir -p "$root"/{usr,etc,dev,proc,tmp,root,autograder,old,apt} "$root"/image/{go,modules,builds}
chmod 1777 "$root/tmp"
for dir in usr etc dev proc; do mount --rbind "/$dir" "$root/$dir"; done
for link in bin sbin lib lib32 lib64; do [ ! -L "/$link" ] || cp -P "/$link" "$root/$link"; done
mount --bind "$autograder" "$root/autograder"
mount --bind "$goroot" "$root/image/go"
mount --bind "$modules" "$root/image/modules"
mount --bind "$builds" "$root/image/builds"
printf '#!/bin/sh\necho "$@" >>/autograder/apt\n' >"$root/apt/apt-get"
chmod 755 "$root/apt/apt-get"
cd "$root"
pivot_root . old
umount -l /old
cd /autograder
exec env -i HOME=/root PATH=/apt:/image/go/bin:/usr/sbin:/usr/bin:/sbin:/bin GOTOOLCHAIN=local GOPROXY=off \
	GOMODCACHE=/image/modules GOCACHE=/image/builds "$@"
`

// inGradescope runs a command in a root that is laid out as Gradescope's.
func (c *container) inGradescope(command ...string) (string, error) {
	c.t.Helper()
	known, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE", "GOCACHE").Output()
	require.NoError(c.t, err)
	args := []string{"--mount", "bash", "-c", rootAsInGradescope, "root", c.root, c.t.TempDir()}
	if os.Getuid() != 0 || exec.Command("unshare", "--mount", "true").Run() != nil {
		args = append([]string{"--user", "--map-root-user"}, args...)
	}
	args = append(append(args, strings.Fields(string(known))...), command...)
	out, err := exec.Command("unshare", args...).CombinedOutput()
	return string(out), err
}

// The archive works where Gradescope unpacks it: at /autograder, with no variable that says so, and nothing else of ours.
func TestLaidOutAsGradescope(t *testing.T) {
	rotation.Turn(t, 1, 2)
	for _, tool := range []string{"bash", "unshare", "pivot_root"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on PATH: this machine cannot make a root like Gradescope's", tool)
		}
	}
	c := layOut(t)
	if out, err := c.inGradescope("true"); err != nil {
		t.Skipf("this machine permits no namespaces: %v: %s", err, out)
	}
	out, err := c.inGradescope("bash", "/autograder/source/setup.sh")
	require.NoError(t, err, "%s", out)
	asked, err := os.ReadFile(filepath.Join(c.root, "apt"))
	require.NoError(t, err)
	require.Contains(t, string(asked), "install -y --no-install-recommends ca-certificates curl gcc libc6-dev")

	metadata := `{"created_at": "2026-07-02T14:22:32-07:00", "assignment": {"due_date": "2026-06-30T23:00:00-07:00"},
		"previous_submissions": [{"score": 3}]}`
	require.NoError(t, os.WriteFile(filepath.Join(c.root, "submission_metadata.json"), []byte(metadata), 0o666))
	c.submit("../../../solutions/01-links")
	out, err = c.inGradescope("/autograder/run_autograder")
	require.NoError(t, err, "%s", out)
	r, err := c.results()
	require.NoError(t, err)
	require.Len(t, r.Tests, testsOf(t, part))
	for _, test := range r.Tests {
		require.Equal(t, "passed", test.Status, "%s: %s", test.Name, test.Output)
	}
	require.InDelta(t, 20, r.Score, 0)
	require.Contains(t, r.Output, "Submitted 1 day and 15 hours after the due date: 2 late days.\nThis is attempt 2.\n")

	c.submit(filepath.Join(c.root, "source", "course"))
	out, err = c.inGradescope("/autograder/run_autograder")
	require.NoError(t, err, "%s", out)
	r, err = c.results()
	require.NoError(t, err)
	require.Zero(t, r.Score, "the stub")
}
