package export

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const gradescopeMetadata = `{
  "id": 123456, "created_at": "2026-07-02T14:22:32.365935-07:00",
  "assignment": {"due_date": "2026-06-30T23:00:00.000000-07:00", "title": "Lab 4", "group_submission": false},
  "submission_method": "upload",
  "users": [{"email": "s@x.edu", "id": 1234, "name": "Student", "assignment": {"due_date": "DUE", "late_due_date": null}}],
  "previous_submissions": [{"submission_time": "2026-07-01T14:22:32.365935-07:00", "score": 33.0}, {"autograder_error": true}]
}`

// Gradescope's output says how late the submission is, by the student's own due date, and which attempt.
func TestGradescopeShowsLateDaysAndAttempts(t *testing.T) {
	for due, want := range map[string]string{
		"2026-06-30T23:00:00.000000-07:00": "Submitted 1 day and 15 hours after the due date: 2 late days.\nThis is attempt 3.\n",
		"2026-07-02T14:00:00.000000-07:00": "Submitted 22 minutes after the due date: 1 late day.\nThis is attempt 3.\n",
		"2026-07-02T23:00:00.000000-07:00": "Submitted on time, 8 hours and 37 minutes before the due date.\nThis is attempt 3.\n",
		"2026-07-02T21:22:32.365935Z":      "Submitted on time, less than a minute before the due date.\nThis is attempt 3.\n",
		"no date":                          "Submitted 1 day and 15 hours after the due date: 2 late days.\nThis is attempt 3.\n", // the assignment's
	} {
		var out bytes.Buffer
		require.NoError(t, Gradescope(&out, sample(), GradescopeOptions{Metadata: []byte(strings.Replace(gradescopeMetadata, "DUE", due, 1))}))
		var read struct {
			Output string `json:"output"`
		}
		require.NoError(t, json.Unmarshal(out.Bytes(), &read))
		require.True(t, strings.HasPrefix(read.Output, want), "%s: %s", due, read.Output)
	}
}

// What says nothing costs nothing: the results are the same without it.
func TestGradescopeMetadataThatSaysNothing(t *testing.T) {
	var plain bytes.Buffer
	require.NoError(t, Gradescope(&plain, sample(), GradescopeOptions{}))
	for _, text := range []string{`{}`, `{"created_at": 5}`, `[`, ``, `{"users": [{}], "created_at": "yesterday"}`} {
		var out bytes.Buffer
		require.NoError(t, Gradescope(&out, sample(), GradescopeOptions{Metadata: []byte(text)}), text)
		require.Equal(t, plain.String(), out.String(), text)
	}
}
