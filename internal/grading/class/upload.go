package class

import (
	"regexp"
	"time"
)

// upload is what the name of a file or folder says, as a learning platform packs a class for download.
type upload struct {
	key     string // the same for all uploads of a student
	id      string // of the submission
	name    string // the student's, if the platform tells it
	file    string // as the student named it; "" of a folder
	attempt string // orders a student's attempts, if the platform tells them apart
	aside   bool   // the platform's own words or the student's comment, and no work
}

// The names that platforms give. None is documented by its owner; each is what its export writes.
var (
	// Moodle: "Ada Lovelace_12345_assignsubmission_file_", a folder, or the same followed by a file's name.
	moodleName = regexp.MustCompile(`^(.+)_(\d+)_assignsubmission_(file|onlinetext)(?:_(.*))?$`)
	// Canvas: "lovelaceada_LATE_12345_67890_raft-1.go": name, late, user, attachment, file; of a text without an attachment
	// "lovelaceada_12345_text.html".
	canvasName = regexp.MustCompile(`^([^_]+)_(?:LATE_)?(\d+)_(?:(\d+)_(.+)|(?:text|link|url)\.html?)$`)
	// Blackboard: "Lab 4_alovelace_attempt_2026-01-15-10-20-30_raft.go", and the same with ".txt" alone: its summary.
	blackboardName = regexp.MustCompile(`^(.+)_([^_]+)_attempt_(\d{4}(?:-\d\d){5})(?:_(.+)|\.txt)$`)
	// Brightspace: "12345-67890 - Ada Lovelace - Jan 15, 2026 1020 AM - raft.go", or a folder without the last.
	brightspaceName = regexp.MustCompile(`^(\d+-\d+) ?- ?(.+?) ?- ?(\pL+\.? \d{1,2},? \d{4} \d{3,4} ?[AaPp][Mm]|\d{1,2} \pL+,? \d{4} \d{3,4}(?: ?[AaPp][Mm])?)(?: ?- ?(.+))?$`)

	// again is what Canvas adds to the name of a file that was handed in once more.
	again = regexp.MustCompile(`-\d+(\.[A-Za-z.]+)$`)
)

// parseUpload reads the name of a file or folder.
func parseUpload(name string, folder bool) (upload, bool) {
	if m := moodleName.FindStringSubmatch(name); m != nil && (folder || m[4] != "") {
		return upload{key: m[1] + "_" + m[2], id: m[1] + "_" + m[2], name: m[1], file: m[4], aside: m[3] == "onlinetext"}, true
	}
	if m := blackboardName.FindStringSubmatch(name); m != nil && !folder {
		return upload{key: m[1] + "_" + m[2], id: m[2], file: m[4], attempt: m[3], aside: m[4] == ""}, true
	}
	if m := brightspaceName.FindStringSubmatch(name); m != nil && folder == (m[4] == "") {
		return upload{key: m[1], id: m[2] + "_" + m[1], name: m[2], file: m[4], attempt: brightspaceTime(m[3])}, true
	}
	if m := canvasName.FindStringSubmatch(name); m != nil && !folder {
		return upload{key: m[1] + "_" + m[2], id: m[1] + "_" + m[2], file: again.ReplaceAllString(m[4], "$1"), aside: m[4] == ""}, true
	}
	return upload{}, false
}

var brightspaceClock = regexp.MustCompile(`(\d{1,2})(\d\d)( ?[AaPp][Mm])?$`)

// brightspaceTime is a time of Brightspace's in an order that strings have; "" if it is in another language.
func brightspaceTime(text string) string {
	text = brightspaceClock.ReplaceAllString(text, "$1:$2$3")
	for _, layout := range []string{"Jan 2, 2006 3:04 PM", "January 2, 2006 3:04 PM", "2 January, 2006 15:04", "2 January 2006 15:04", "2 January, 2006 3:04 PM"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Format("2006-01-02 15:04")
		}
	}
	return ""
}

// newest keeps the uploads of a student's newest attempt; older is when the others were handed in. A platform's summary
// of an attempt is none.
func newest(list []found) (kept []found, older []string) {
	last := ""
	for _, f := range list {
		if !f.aside {
			last = max(last, f.attempt)
		}
	}
	seen := map[string]bool{}
	for _, f := range list {
		switch {
		case f.attempt == last || f.attempt == "":
			kept = append(kept, f)
		case !f.aside && !seen[f.attempt]:
			seen[f.attempt] = true
			older = append(older, f.attempt)
		}
	}
	if len(kept) == 0 {
		kept = list
	}
	return kept, older
}
