package trace

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"distlabs/labrpc"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("../../../schemas/trace.schema.json")
	require.NoError(t, err)
	return schema
}

// Every line that is written is one that the published schema describes, and what Read refuses for its form the schema
// refuses too.
func TestSchema(t *testing.T) {
	schema := compileSchema(t)
	holds := func(line string) error {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		require.NoError(t, err, line)
		return schema.Validate(value)
	}
	for _, run := range []*Run{sampleRun(), election(), NewRecorder(Header{}).Run()} {
		for line := range strings.SplitSeq(strings.TrimSpace(written(t, run)), "\n") {
			require.NoError(t, holds(line), line)
		}
	}
	for _, line := range []string{
		`{}`, `[]`, `{"format":"distlabs-trace","version":3,"steps":0,"seed":1,"nodes":1}`,
		`{"format":"other","version":1,"steps":0,"seed":1,"nodes":1}`, `{"format":"distlabs-trace","version":1,"steps":-1,"seed":1,"nodes":1}`,
		`{"seq":1,"at":0,"kind":"exploded"}`, `{"seq":1,"at":-1,"kind":"marked"}`, `{"seq":1,"at":0,"kind":"started","node":1001}`,
		`{"seq":1,"at":0,"kind":"marked","colour":"red"}`,
	} {
		require.Error(t, holds(line), line)
	}
}

// The schema names exactly the fields and the kinds that there are.
func TestSchemaIsComplete(t *testing.T) {
	schema := compileSchema(t)
	header, step := schema.OneOf[0].Ref, schema.OneOf[1].Ref
	require.Equal(t, fieldsOf(reflect.TypeFor[fileHeader]()), slices.Sorted(maps.Keys(header.Properties)))
	require.Equal(t, fieldsOf(reflect.TypeFor[fileStep]()), slices.Sorted(maps.Keys(step.Properties)))
	var named []labrpc.EventKind
	for _, kind := range step.Properties["kind"].Enum.Values {
		named = append(named, labrpc.EventKind(kind.(string)))
	}
	slices.Sort(named)
	require.Equal(t, slices.Sorted(maps.Keys(kinds)), named)
}

// fieldsOf lists the JSON names of a struct's fields.
func fieldsOf(typ reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(typ) {
		if !f.Anonymous {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
