package gate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/globals"
)

// Submissions for the course's own labs that earned what they should not have, and others like them. Each would, without the
// gate, pass tests of its lab, or keep the grader from its work.
var hostileSources = []struct {
	name, want string
	light      bool // a plain go test says the same
}{
	{"01-links/json-reflect", `stubborn.go:7: a submission may not import "encoding/json"`, false},
	{"01-links/json-escape", `stubborn.go:7: a submission may not import "encoding/json"`, false},
	{"01-links/s-caller", `stubborn.go:4: a submission may not import "log"`, false},
	{"01-links/pointer-by-inference", "stubborn.go:19: this has to do with unsafe.Pointer: ", false},
	{"01-links/l1-global", "reliable.go:12: nodes share no memory, but all of them would share the package variable doorMu, which is a sync.Mutex: keep it in your struct", true},
	{"04-election/l4-global", "bully.go:16: nodes share no memory, but all of them would share the package variable mu, which is a sync.Mutex: keep it in your struct", true},
	{"01-links/s-memorise", "stubborn.go:124: labrpc.New is for tests: ", false},
	{"01-links/c-starve", "stubborn.go:10: nodes share no memory, but all of them would share the package variable tick, which is a channel: keep it in your struct", true},
	{"01-links/d-bigdata2", "stubborn.go:9: nodes share no memory, but all of them would share the package variable big, which is changed in line 10: keep it in your struct", true},
	{"01-links/closure", "stubborn.go:15: nodes share no memory, but all of them would share the package variable open, which holds a function that may remember something: keep it in your struct", false},
	{"01-links/wrapped-in-an-error", "stubborn.go:20: nodes share no memory, but all of them would share the package variable errDoor, which holds a value that could change", false},
	{"01-links/array-of-a-table", "stubborn.go:11: nodes share no memory, but all of them would share the package variable letters, which is passed on, so that it could change, in line 13", false},
	{"01-links/zone", "a *time.Location is memory that all nodes share: ", false},
	{"01-links/c-nilerrs", `stubborn.go:5: a submission may not import "io"`, true},
	{"01-links/l1-cbor", "auth.go:67: method UnmarshalCBOR would change how messages are encoded or compared: a submission may not declare it", false},
	{"01-links/tag", "stubborn.go:12: a struct tag would change how messages are encoded: a submission may not use one", false},
	{"01-links/own-network", "stubborn.go:15: labrpc.New is for tests: ", false},
	{"03-clocks/l3-consts", "vector.go:11: the constants Before and After are equal: they must stay different", false},
}

func TestHostileSources(t *testing.T) {
	c, err := course.Load(root)
	require.NoError(t, err)
	for _, tc := range hostileSources {
		t.Run(tc.name, func(t *testing.T) {
			selected, err := c.Select(tc.name[:2])
			require.NoError(t, err)
			lab := selected[0].Lab
			files := map[string][]byte{}
			texts, err := filepath.Glob(filepath.Join("testdata/hostile", tc.name, "*.go.txt"))
			require.NoError(t, err)
			require.NotEmpty(t, texts)
			for _, path := range texts {
				files[strings.TrimSuffix(filepath.Base(path), ".txt")], err = os.ReadFile(path)
				require.NoError(t, err)
			}
			refused := Look(lab, files)
			if refused == "" {
				refused = packages(t).Check(source(t, c, lab, files, nil)).Refused
			}
			require.Contains(t, refused, tc.want)
			if tc.light {
				require.Contains(t, globals.Check(files), "share")
			}
		})
	}
	// No source lies there without a row.
	found, err := filepath.Glob("testdata/hostile/*/*")
	require.NoError(t, err)
	require.Len(t, hostileSources, len(found))
}
