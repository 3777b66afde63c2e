package export

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// metadata is what Gradescope tells an autograder about a submission, in submission_metadata.json.
type metadata struct {
	Created    string            `json:"created_at"`
	Assignment metadataDates     `json:"assignment"`
	Users      []metadataUser    `json:"users"`
	Previous   []json.RawMessage `json:"previous_submissions"`
}

type metadataUser struct {
	Assignment metadataDates `json:"assignment"` // with the student's own extension
}

type metadataDates struct {
	Due string `json:"due_date"`
}

// submitted says when a submission was made, beside the due date, and which attempt it is. What the file does not say is left out:
// no grade depends on it.
func submitted(text []byte) (lines []string, err error) {
	var m metadata
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("export: gradescope: the submission's metadata: %w", err)
	}
	due, dated := m.due()
	if created, err := time.Parse(time.RFC3339, m.Created); err == nil && dated {
		lines = append(lines, beside(created.Sub(due)))
	}
	if m.Previous != nil {
		lines = append(lines, fmt.Sprintf("This is attempt %d.", len(m.Previous)+1))
	}
	return lines, nil
}

// due is the due date of the submission. Of a group, it is the latest of its members': one of them may have an extension.
func (m metadata) due() (due time.Time, found bool) {
	dates := []metadataDates{}
	for _, user := range m.Users {
		dates = append(dates, user.Assignment)
	}
	for _, date := range dates {
		if at, err := time.Parse(time.RFC3339, date.Due); err == nil && (!found || at.After(due)) {
			due, found = at, true
		}
	}
	if !found {
		at, err := time.Parse(time.RFC3339, m.Assignment.Due)
		return at, err == nil
	}
	return due, found
}

// beside says how far a submission is from the due date. Every day that has begun is a late day.
func beside(after time.Duration) string {
	if after <= 0 {
		return fmt.Sprintf("Submitted on time, %s before the due date.", span(-after))
	}
	return fmt.Sprintf("Submitted %s after the due date: %s.", span(after), plural(int(math.Ceil(after.Hours()/24)), "late day"))
}

// span is a duration in the largest two units that it has.
func span(d time.Duration) string {
	minutes := int(d / time.Minute)
	days, hours := minutes/(24*60), minutes/60%24
	switch {
	case days > 0 && hours > 0:
		return plural(days, "day") + " and " + plural(hours, "hour")
	case days > 0:
		return plural(days, "day")
	case hours > 0 && minutes%60 > 0:
		return plural(hours, "hour") + " and " + plural(minutes%60, "minute")
	case hours > 0:
		return plural(hours, "hour")
	case minutes > 0:
		return plural(minutes, "minute")
	}
	return "less than a minute"
}
