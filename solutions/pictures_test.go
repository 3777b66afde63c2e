package solutions

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/grade"
	"distlabs/internal/grading/submission"
	"distlabs/internal/harness/trace"
	"distlabs/internal/harness/view"
	"distlabs/labrpc"
)

var update = flag.Bool("update", false, "draw the handouts' pictures again")

// pictures are the stretches of the reference's runs that the handouts show, in labs/<lab>/run.svg.
var pictures = []struct {
	lab, test, seed string
	shown           view.Picture
}{
	{lab: "01", test: "TestDeliversDespiteLoss1A", seed: "5", shown: view.Picture{
		Nodes: []labrpc.NodeID{1, 2}, To: 7 * time.Second, Routine: true,
		Match: regexp.MustCompile(`n1→n2 packet \{"ID":1,"Ack":false|n2→n1 packet \{"ID":1,"Ack":true|n2 told "<00000>" from n1`),
	}},
	{lab: "02", test: "TestToleratesLostBeats2B", seed: "5", shown: view.Picture{
		Nodes: []labrpc.NodeID{1, 3, 4}, From: 19750 * time.Millisecond, To: 20240 * time.Millisecond, Routine: true,
		Match: regexp.MustCompile(`^n4→`),
	}},
	{lab: "03", test: "TestCausalAnswerAfterQuestion3D", seed: "1"},
	{lab: "04", test: "TestElectsALeader4C", seed: "1", shown: view.Picture{From: 200 * time.Millisecond, To: 254 * time.Millisecond}},
	{lab: "05", test: "TestAgreesInOrder5A", seed: "1", shown: view.Picture{From: 560 * time.Millisecond, To: 626 * time.Millisecond}},
	{lab: "06", test: "TestReadsCostNoEntries6A", seed: "1", shown: view.Picture{
		Nodes: []labrpc.NodeID{1, 2, 3, 4}, From: 755 * time.Millisecond, To: 835 * time.Millisecond, Routine: true,
		Match: regexp.MustCompile(`(n4→n1|n1→n4) Get|ReadIndex|Confirm|^n4 (called|returned)`),
	}},
	{lab: "07", test: "TestCommits7C", seed: "4", shown: view.Picture{Nodes: []labrpc.NodeID{1, 2, 3}, To: 90 * time.Millisecond}},
}

// The picture of each handout is what the reference does now, to the byte: a seed gives one run, and a run one picture.
func TestPictures(t *testing.T) {
	for _, p := range pictures {
		t.Run(p.lab, func(t *testing.T) {
			t.Parallel()
			test, err := labs.FindTest(p.lab, p.test)
			require.NoError(t, err)
			picture := draw(t, test, p.seed, p.shown)
			dir := filepath.Join(labs.Root, filepath.FromSlash(test.Lab.Dir()))
			if *update {
				require.NoError(t, os.WriteFile(filepath.Join(dir, "run.svg"), picture, 0o666))
			}
			kept, err := os.ReadFile(filepath.Join(dir, "run.svg"))
			require.NoError(t, err)
			require.Equal(t, string(kept), string(picture), "draw it again: go test ./solutions -run TestPictures -update")
			readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
			require.NoError(t, err)
			require.True(t, bytes.Contains(readme, []byte("](run.svg)")), "the handout shows its picture")
		})
	}
}

// draw runs a seed of the reference and draws it.
func draw(t *testing.T, test course.Selected, seed string, shown view.Picture) []byte {
	got, err := grader.Replay(t.Context(), submission.Source{Kind: course.Solution}, test, grade.Run{Seed: seed})
	require.NoError(t, err)
	require.NotNil(t, got.Record, fmt.Sprint(got.Test.Failures))
	run, err := trace.Read(bytes.NewReader(got.Record))
	require.NoError(t, err)
	require.Nil(t, run.Header.Violation, "the reference passes")
	var out bytes.Buffer
	require.NoError(t, view.Write(&out, view.FormatSVG, run, nil, view.Options{Picture: shown}))
	return out.Bytes()
}
