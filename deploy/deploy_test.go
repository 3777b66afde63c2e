// Package deploy holds the files of this folder against the schemas of the
// engines that read them. It is a module of its own, so that a student's build
// never sees these.
package deploy

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/rhysd/actionlint"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// manifests decodes every document of a file into the Kubernetes type that it
// names. A field that the type does not have is an error.
func manifests(t *testing.T, file string) (jobs []batchv1.Job, policies []networkingv1.NetworkPolicy) {
	t.Helper()
	text := must(os.ReadFile(file))(t)
	for i, document := range bytes.Split(text, []byte("\n---\n")) {
		var kind struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatalf("%s, document %d: %v", file, i, err)
		}
		var err error
		switch kind.APIVersion + " " + kind.Kind {
		case "batch/v1 Job":
			var job batchv1.Job
			err = yaml.UnmarshalStrict(document, &job)
			jobs = append(jobs, job)
		case "networking.k8s.io/v1 NetworkPolicy":
			var policy networkingv1.NetworkPolicy
			err = yaml.UnmarshalStrict(document, &policy)
			policies = append(policies, policy)
		default:
			err = fmt.Errorf("an object of a kind that this test does not know: %+v", kind)
		}
		if err != nil {
			t.Fatalf("%s, document %d: %v", file, i, err)
		}
	}
	return jobs, policies
}

// A field with a wrong name must not pass.
func TestDecodingIsStrict(t *testing.T) {
	var job batchv1.Job
	if yaml.UnmarshalStrict([]byte("spec: {completion: 3}"), &job) == nil {
		t.Fatal("an unknown field passes")
	}
}

func TestIndexedJob(t *testing.T) {
	jobs, policies := manifests(t, "kubernetes.yaml")
	if len(jobs) != 1 || len(policies) != 1 {
		t.Fatalf("%d jobs, %d policies", len(jobs), len(policies))
	}
	spec := jobs[0].Spec
	if spec.CompletionMode == nil || *spec.CompletionMode != batchv1.IndexedCompletion {
		t.Error("the job is not indexed")
	}
	container := spec.Template.Spec.Containers[0]
	env := map[string]string{}
	for _, e := range container.Env {
		env[e.Name] = e.Value
	}
	if want := strconv.Itoa(int(*spec.Completions)); env["JOB_COMPLETIONS"] != want {
		t.Errorf("JOB_COMPLETIONS is %q, the job has %s completions", env["JOB_COMPLETIONS"], want)
	}
	if *spec.Parallelism > *spec.Completions {
		t.Error("more pods at a time than shards")
	}
	for _, want := range []string{"--resume", "--out=/class/shards/$(JOB_COMPLETION_INDEX)"} {
		if !slices.Contains(container.Command, want) {
			t.Errorf("the command lacks %s: %q", want, container.Command)
		}
	}
	checkFailurePolicy(t, spec, container.Name)
	checkPod(t, spec.Template.Spec)
	selector := policies[0].Spec.PodSelector.MatchLabels
	if len(selector) == 0 || len(policies[0].Spec.PolicyTypes) != 2 || policies[0].Spec.Ingress != nil || policies[0].Spec.Egress != nil {
		t.Error("the policy does not deny all traffic")
	}
	for key, value := range selector {
		if spec.Template.Labels[key] != value {
			t.Errorf("the policy is about other pods: %s=%s", key, value)
		}
	}
}

// checkFailurePolicy: what the API server would refuse, and the schema does not say.
func checkFailurePolicy(t *testing.T, spec batchv1.JobSpec, container string) {
	if spec.BackoffLimitPerIndex == nil || spec.BackoffLimit != nil {
		t.Error("each shard is to be tried again by itself")
	}
	if spec.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Error("a failure policy needs restartPolicy Never")
	}
	for _, rule := range spec.PodFailurePolicy.Rules {
		if codes := rule.OnExitCodes; codes != nil {
			if *codes.ContainerName != container {
				t.Errorf("a rule is about a container %q", *codes.ContainerName)
			}
			if !slices.IsSorted(codes.Values) || slices.Contains(codes.Values, 0) || slices.Contains(codes.Values, 3) {
				t.Errorf("exit codes %v", codes.Values)
			}
		}
	}
}

// checkPod: a pod that runs strangers' code has no token, no privileges, and limits.
func checkPod(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("the pod has a service account's token")
	}
	if pod.SecurityContext == nil || !*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile == nil {
		t.Error("the pod may run as root, or without seccomp")
	}
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		if v.HostPath != nil {
			t.Errorf("volume %s is the host's", v.Name)
		}
	}
	for _, c := range pod.Containers {
		if c.SecurityContext == nil || *c.SecurityContext.AllowPrivilegeEscalation || !slices.Contains(c.SecurityContext.Capabilities.Drop, "ALL") {
			t.Errorf("container %s keeps privileges", c.Name)
		}
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := c.Resources.Requests[name], c.Resources.Limits[name]
			if request.IsZero() || limit.IsZero() || request.Cmp(limit) > 0 {
				t.Errorf("container %s: %s requests %v, limit %v", c.Name, name, request, limit)
			}
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("container %s mounts %s, which is no volume", c.Name, m.Name)
			}
		}
	}
}

func TestMergeJob(t *testing.T) {
	jobs, _ := manifests(t, "kubernetes-merge.yaml")
	if len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	checkPod(t, jobs[0].Spec.Template.Spec)
	first, _ := manifests(t, "kubernetes.yaml")
	if jobs[0].Spec.Template.Spec.Containers[0].Image != first[0].Spec.Template.Spec.Containers[0].Image {
		t.Error("the jobs have two images")
	}
}

// The workflow is clean by actionlint's rules: syntax, types of expressions,
// known inputs of actions, injection of what strangers chose into scripts.
func TestWorkflow(t *testing.T) {
	linter := must(actionlint.NewLinter(os.Stderr, &actionlint.LinterOptions{}))(t)
	text := must(os.ReadFile("github-actions.yaml"))(t)
	problems := must(linter.Lint("github-actions.yaml", text, nil))(t)
	for _, p := range problems {
		t.Error(p)
	}
	broken := bytes.Replace(text, []byte("needs: grade"), []byte("needs: nothing"), 1)
	if problems := must(linter.Lint("github-actions.yaml", broken, nil))(t); len(problems) == 0 {
		t.Error("a broken workflow passes")
	}
	// A value of ours in a script is a variable of the shell, never part of its text.
	for _, script := range regexp.MustCompile(`(?m)^ +run: \|\n((?: {10,}.*\n)+)`).FindAllString(string(text), -1) {
		if strings.Contains(script, "${{") {
			t.Errorf("an expression in a script:\n%s", script)
		}
	}
}

// The container file parses, instruction by instruction; it runs as a user of its
// own, and copies no solution.
func TestContainerfile(t *testing.T) {
	file := must(os.Open("Containerfile"))(t)
	defer file.Close()
	parsed := must(parser.Parse(file))(t)
	for _, warning := range parsed.Warnings {
		t.Error(warning.Short)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	user := "root"
	for _, command := range stages[len(stages)-1].Commands {
		switch c := command.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.CopyCommand:
			for _, path := range c.SourcePaths {
				if strings.HasPrefix(path, "solutions") || path == "." {
					t.Errorf("it copies %s", path)
				}
				if _, err := os.Stat("../" + path); err != nil {
					t.Error(err)
				}
			}
		case *instructions.AddCommand:
			t.Error("it adds, where copying is enough")
		}
	}
	if user == "root" {
		t.Error("it runs as root")
	}
}

// The compose file is valid by the rules of its format's own library: three servers, each with its own files and no other server's, and a client. They
// have no privileges, and what they publish is for this machine only.
func TestCompose(t *testing.T) {
	load := func(text []byte) (*types.Project, error) {
		return loader.LoadWithContext(t.Context(), types.ConfigDetails{
			WorkingDir: ".", ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: text}}, Environment: types.Mapping{"LIVE_USER": "7:7"},
		}, func(o *loader.Options) { o.Profiles = []string{"*"} })
	}
	text := must(os.ReadFile("compose.yaml"))(t)
	project := must(load(text))(t)
	if _, err := load(bytes.Replace(text, []byte("stdin_open"), []byte("stdin_opened"), 1)); err == nil {
		t.Error("an unknown field passes")
	}
	published := map[string]bool{}
	for _, name := range []string{"n1", "n2", "n3", "client"} {
		s, ok := project.Services[name]
		if !ok {
			t.Fatalf("there is no service %s", name)
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
			t.Errorf("%s keeps privileges", name)
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" || p.Target != 2379 || published[p.Published] {
				t.Errorf("%s publishes %+v", name, p)
			}
			published[p.Published] = true
		}
		if name == "client" {
			if !strings.Contains(strings.Join(s.Entrypoint, " "), "n1:2379,n2:2379,n3:2379") || len(s.Volumes) > 0 {
				t.Errorf("the client: %q, %v", s.Entrypoint, s.Volumes)
			}
			continue
		}
		if !s.StdinOpen || s.User != "7:7" || s.MemLimit == 0 || s.PidsLimit == 0 || len(s.Ports) != 1 || len(s.Volumes) != 3 {
			t.Errorf("%s: standard input %v, user %q, memory %d, processes %d, ports %v", name, s.StdinOpen, s.User, s.MemLimit, s.PidsLimit, s.Ports)
		}
		for _, v := range s.Volumes {
			_, source, _ := strings.Cut(v.Source, "/.labs/compose/")
			want := map[string]string{"/server": "bin/server", "/files": name, "/data": name + "/data"}[v.Target]
			if source != want || v.ReadOnly != (v.Target != "/data") {
				t.Errorf("%s: volume %+v", name, v)
			}
		}
		if want := []string{"/server", "/files/config.json"}; !slices.Equal(s.Command, want) {
			t.Errorf("%s: command %q, want %q", name, s.Command, want)
		}
	}
}
