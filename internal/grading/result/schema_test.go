package result

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/grading/course"
	"distlabs/internal/harness/report"
)

// The published schema accepts a result in which every field is set, and every
// field of it is one that the schema names.
func TestSchemaAcceptsEveryField(t *testing.T) {
	full := Result{}
	fillIn(reflect.ValueOf(&full).Elem())
	full.Version, full.Isolation, full.Source.Kind = Version, 2, course.Submission
	full.Labs[0].Base[0].Kind = course.Solution
	full.Tests(func(_ *Lab, _ *Part, test *Test) {
		test.Status = report.Fail
		for i := range test.Failures {
			test.Failures[i].Kind = report.Race
		}
	})
	require.Empty(t, validate(t, &full))
	require.Empty(t, validate(t, New(Source{Kind: course.Solution}, nil)))
}

// A schema that refused nothing would be no contract.
func TestSchemaRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(r *Result)
		want string
	}{
		{"another version", func(r *Result) { r.Version = 2 }, "/version: 2 is not 1"},
		{"an unknown source", func(r *Result) { r.Source.Kind = "rumour" }, "/source/kind: rumour is none of"},
		{"negative points", func(r *Result) { r.Points = -1 }, "/points: -1 is below 0"},
		{"no labs", func(r *Result) { r.Labs = nil }, "/labs: want array"},
		{"an unknown status", func(r *Result) {
			r.Labs = []Lab{{Parts: []Part{{Tests: []Test{{Status: "maybe"}}}}}}
		}, "/labs/0/parts/0/tests/0/status: maybe is none of"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := New(Source{Kind: course.Solution}, nil)
			tc.edit(r)
			require.Contains(t, strings.Join(validate(t, r), "\n"), tc.want)
		})
	}
}

// The same of run.json.
func TestRunSchema(t *testing.T) {
	full := RunInfo{}
	fillIn(reflect.ValueOf(&full).Elem())
	full.Version = RunVersion
	text, err := json.Marshal(full)
	require.NoError(t, err)
	require.Empty(t, validateText(t, "run", text))
	text, err = json.Marshal(RunInfo{Version: RunVersion})
	require.NoError(t, err)
	require.Equal(t, []string{"/parts: want array, got null", "/submissions: want array, got null"}, slices.Sorted(slices.Values(validateText(t, "run", text))))
}

// validate holds a result's JSON against schemas/results.schema.json.
func validate(t *testing.T, r *Result) []string {
	var out bytes.Buffer
	require.NoError(t, r.WriteJSON(&out))
	return validateText(t, "results", out.Bytes())
}

func validateText(t *testing.T, name string, written []byte) []string {
	text, err := os.ReadFile("../../../schemas/" + name + ".schema.json")
	require.NoError(t, err)
	var root map[string]any
	require.NoError(t, json.Unmarshal(text, &root))
	var value any
	require.NoError(t, json.Unmarshal(written, &value))
	v := validator{defs: root["$defs"].(map[string]any)}
	v.check("", root, value)
	return v.problems
}

// validator knows the keywords of JSON Schema that our schema uses, and trips
// over any other.
type validator struct {
	defs     map[string]any
	problems []string
}

func (v *validator) fail(path, format string, args ...any) {
	v.problems = append(v.problems, path+": "+fmt.Sprintf(format, args...))
}

func (v *validator) check(path string, schema map[string]any, value any) {
	for keyword, want := range schema {
		switch keyword {
		case "$ref":
			name := strings.TrimPrefix(want.(string), "#/$defs/")
			v.check(path, v.defs[name].(map[string]any), value)
		case "const":
			if value != want {
				v.fail(path, "%v is not %v", value, want)
			}
		case "enum":
			if !slices.Contains(want.([]any), value) {
				v.fail(path, "%v is none of %v", value, want)
			}
		case "minimum":
			if n, ok := value.(float64); ok && n < want.(float64) {
				v.fail(path, "%v is below %v", n, want)
			}
		case "type":
			if got := kindOf(value); got != want && !(got == "integer" && want == "number") {
				v.fail(path, "want %v, got %s", want, got)
			}
		case "required":
			object, _ := value.(map[string]any)
			for _, name := range want.([]any) {
				if _, ok := object[name.(string)]; !ok {
					v.fail(path, "%s is missing", name)
				}
			}
		case "items":
			list, _ := value.([]any)
			for i, item := range list {
				v.check(fmt.Sprintf("%s/%d", path, i), want.(map[string]any), item)
			}
		case "properties":
			v.properties(path, schema, value)
		case "additionalProperties", "$schema", "$id", "$defs", "title", "description":
		default:
			v.fail(path, "unknown keyword %s", keyword)
		}
	}
}

// properties checks the fields of an object, all of which must be named.
func (v *validator) properties(path string, schema map[string]any, value any) {
	object, _ := value.(map[string]any)
	named := schema["properties"].(map[string]any)
	for name, field := range object {
		if s, ok := named[name]; ok {
			v.check(path+"/"+name, s.(map[string]any), field)
		} else if schema["additionalProperties"] == false {
			v.fail(path, "unknown field %s", name)
		}
	}
}

func kindOf(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case float64:
		if value == math.Trunc(value) {
			return "integer"
		}
		return "number"
	}
	return "object"
}

// fillIn sets every field below v to something that is not its zero value.
func fillIn(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fillIn(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillIn(v.Elem())
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillIn(key)
		fillIn(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillIn(v.Index(0))
	case reflect.String:
		v.SetString("text")
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint64:
		v.SetUint(81)
	default:
		panic("no value for " + v.Type().String())
	}
}
