package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"distlabs/internal/grading/gradetest"
)

// fewer is how many shards the tests have, where the files have more: a shard
// without a submission is much like another.
const fewer = 4

// cluster is a small course with a class of three, and a shell in which the
// files of deploy/ run as on the engine that they are for, except the paths.
type cluster struct {
	t      *testing.T
	course string
	env    []string
}

func newCluster(t *testing.T) *cluster {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash, which the files of deploy/ are for")
	}
	c := &cluster{t: t, course: t.TempDir()}
	require.NoError(t, gradetest.NewCourse(c.course))
	for _, name := range []string{"alice", "bob", "carol"} {
		require.NoError(t, os.CopyFS(filepath.Join(c.course, "submissions", name), os.DirFS(filepath.Join(c.course, "solutions", "01-echo"))))
	}
	require.NoError(t, os.WriteFile(filepath.Join(c.course, "secret.txt"), []byte("correct horse battery staple of sixty-four characters, say some\n"), 0o600))
	c.env = append(os.Environ(), goEnv(t, "GOCACHE", "GOMODCACHE")...)
	return c
}

// run runs a script in the course's folder.
func (c *cluster) run(script string, env ...string) string {
	c.t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = c.course, append(append([]string{}, c.env...), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(c.t, err, "%s\n%s", script, out)
	return string(out)
}

// graded is the table of a merged run: everybody has full marks.
func (c *cluster) graded(run string) {
	c.t.Helper()
	table := c.run("grade report --format csv " + run)
	require.Equal(c.t, "id,name,points,max,1A (70),1B (30),remark\nalice,,100,100,70,30,\nbob,,100,100,70,30,\ncarol,,100,100,70,30,\n", table)
}

// manifest is what this test reads of a Job. deploy/ has a test of its own, that
// holds the whole of it against Kubernetes' types.
type manifest struct {
	Spec struct {
		Completions int
		Template    struct {
			Spec struct {
				Containers []struct {
					Command []string
					Env     []struct{ Name, Value string }
				}
			}
		}
	}
}

func readManifest(t *testing.T, name string) manifest {
	text, err := os.ReadFile("../../deploy/" + name)
	require.NoError(t, err)
	var m manifest
	require.NoError(t, yaml.Unmarshal(text, &m)) // the first document
	require.Len(t, m.Spec.Template.Spec.Containers, 1)
	return m
}

// Every pod of the Indexed Job grades its shard, and the second Job puts them together.
func TestKubernetesJobs(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	class := filepath.Join(c.course, "class")
	require.NoError(t, os.Mkdir(class, 0o777))
	require.NoError(t, os.Rename(filepath.Join(c.course, "submissions"), filepath.Join(class, "submissions")))
	here := strings.NewReplacer("/class/", class+"/", "/secret/seeds", filepath.Join(c.course, "secret.txt"), "--labs=04", "--labs=01")

	m := readManifest(t, "kubernetes.yaml")
	pod := m.Spec.Template.Spec.Containers[0]
	for index := range fewer {
		env := []string{fmt.Sprintf("JOB_COMPLETION_INDEX=%d", index)}
		for _, e := range pod.Env {
			if e.Name == "JOB_COMPLETIONS" {
				require.Equal(t, strconv.Itoa(m.Spec.Completions), e.Value)
				e.Value = strconv.Itoa(fewer)
			}
			env = append(env, e.Name+"="+e.Value)
		}
		var words []string
		for _, word := range pod.Command {
			word = strings.ReplaceAll(word, "$(JOB_COMPLETION_INDEX)", fmt.Sprint(index)) // as the kubelet does
			words = append(words, "'"+here.Replace(word)+"'")
		}
		c.run(strings.Join(words, " "), env...)
	}
	merge := readManifest(t, "kubernetes-merge.yaml").Spec.Template.Spec.Containers[0].Command
	require.Equal(t, []string{"sh", "-euc"}, merge[:2])
	c.run(here.Replace(merge[2]))
	c.graded(filepath.Join(class, "run"))
	require.FileExists(t, filepath.Join(class, "pages", "students", "alice.html"))
	require.FileExists(t, filepath.Join(class, "class.csv"))
}

// The Slurm script is clean where shellcheck is at hand.
func TestSlurmScript(t *testing.T) {
	path, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("no shellcheck on PATH")
	}
	out, err := exec.Command(path, "../../deploy/slurm.sh").CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// Every task of the Slurm array grades its shard, from whatever folder Slurm runs
// its copy of the script.
func TestSlurmArray(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	script, err := os.ReadFile("../../deploy/slurm.sh")
	require.NoError(t, err)
	array := regexp.MustCompile(`(?m)^#SBATCH --array=0-(\d+)$`).FindSubmatch(script)
	shards := regexp.MustCompile(`(?m)^shards=(\d+)$`).FindSubmatch(script)
	require.NotNil(t, array)
	require.NotNil(t, shards)
	var last, count int
	fmt.Sscan(string(array[1]), &last)
	fmt.Sscan(string(shards[1]), &count)
	require.Equal(t, last+1, count, "as many shards as the array has tasks")

	spool := filepath.Join(t.TempDir(), "slurm_script")
	copied := bytes.Replace(script, shards[0], fmt.Appendf(nil, "shards=%d", fewer), 1)
	require.NoError(t, os.WriteFile(spool, copied, 0o755))
	task := func(id int) string {
		return c.run(spool+" submissions 01 runs secret.txt", fmt.Sprintf("SLURM_ARRAY_TASK_ID=%d", id), "SLURM_CPUS_PER_TASK=2", "SLURM_SUBMIT_DIR="+c.course,
			"SLURM_ARRAY_TASK_COUNT=1", "SLURM_ARRAY_TASK_MIN=0", "GRADE_GOCACHE="+strings.TrimPrefix(goEnv(t, "GOCACHE")[0], "GOCACHE="))
	}
	for id := range fewer {
		task(id)
	}
	require.Contains(t, task(1), "1 of 1 submissions graded", "submitted again, with nothing left to do")
	c.run("grade merge runs/* --out run")
	c.graded("run")
}

// The scripts of the workflow's jobs do what their names say.
func TestActionsMatrix(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	text, err := os.ReadFile("../../deploy/github-actions.yaml")
	require.NoError(t, err)
	var workflow struct {
		Jobs map[string]struct {
			Strategy struct {
				Matrix struct{ Shard []int }
			}
			Steps []struct {
				Run string
				Env map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &workflow))
	// In this small course there is no source of the grader: go build puts this one in place.
	tools, temp := t.TempDir(), t.TempDir()
	real, err := exec.LookPath("go")
	require.NoError(t, err)
	grader, err := exec.LookPath("grade")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(tools, "go"), fmt.Appendf(nil,
		"#!/bin/sh\nif [ \"$1 $2 $4\" = 'build -o ./cmd/grade' ]; then ln -sf '%s' \"$3\"; else exec '%s' \"$@\"; fi\n", grader, real), 0o755))
	path := "PATH=" + tools + ":" + os.Getenv("PATH")

	grade := workflow.Jobs["grade"]
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7, 8}, grade.Strategy.Matrix.Shard, "from 1, without a gap: job-total counts them")
	for shard := 1; shard <= fewer; shard++ {
		for _, step := range grade.Steps {
			if step.Run == "" {
				continue
			}
			require.Equal(t, "${{ matrix.shard }}/${{ strategy.job-total }}", step.Env["SHARD"])
			c.run(step.Run, path, "RUNNER_TEMP="+temp, "LABS=01", fmt.Sprintf("SHARD=%d/%d", shard, fewer), "SEED_SECRET=correct horse battery staple of sixty-four characters")
		}
		c.run(fmt.Sprintf("mkdir -p shards; mv run shards/shard-%d", shard)) // as upload and download do
	}
	for _, step := range workflow.Jobs["merge"].Steps {
		if step.Run != "" {
			c.run(step.Run, path, "RUNNER_TEMP="+temp)
		}
	}
	c.graded("run")
	require.FileExists(t, filepath.Join(c.course, "pages", "index.html"))
}
