package submission

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
)

// The bounds of a search for a lab's files.
const (
	maxLook  = 20_000 // files and folders that are looked at
	maxParts = 16     // folders around a file
	maxNamed = 4      // places that a sentence names
)

// survey is what a submission's folder holds, by its names alone.
type survey struct {
	dirs  map[string][]string // folder ("." is the root) to the names of files and links in it
	files []string            // all of those, with slashes, in the order of the walk
	cut   bool                // there are more than maxLook
}

// lookThrough lists a folder. It follows no link.
func lookThrough(r *os.Root) survey {
	s := survey{dirs: map[string][]string{}}
	left := maxLook
	_ = fs.WalkDir(r.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch left--; {
		case left < 0:
			s.cut = true
			return fs.SkipAll
		case err != nil || name == ".": // a folder that cannot be listed holds nothing for us
			return nil
		case e.IsDir() && (Hidden(e.Name()) || strings.Count(name, "/") >= maxParts):
			return fs.SkipDir
		case Hidden(e.Name()):
		case !e.IsDir() || course.IsGo(e.Name()): // a folder of that name is in a file's place
			s.add(name)
		}
		return nil
	})
	return s
}

func (s *survey) add(name string) {
	s.files = append(s.files, name)
	s.dirs[path.Dir(name)] = append(s.dirs[path.Dir(name)], path.Base(name))
}

// count is how many of the lab's files a folder holds.
func (s survey) count(dir string, lab course.Lab) int {
	n := 0
	for _, name := range lab.Files() {
		if slices.Contains(s.dirs[dir], name) {
			n++
		}
	}
	return n
}

// covers reports whether the folder dir holds every file of the lab that other holds.
func (s survey) covers(dir, other string, lab course.Lab) bool {
	for _, name := range lab.Files() {
		if slices.Contains(s.dirs[other], name) && !slices.Contains(s.dirs[dir], name) {
			return false
		}
	}
	return true
}

// search looks for the one folder that holds the lab.
type search struct {
	survey   survey
	labs     []course.Lab // of the course
	selected []course.Selected
}

// place finds the folder of the submission that holds the lab, "" if there is none. A folder that bears the lab's name
// comes first, then one whose name begins with it, then any other folder with files of the lab that bears no other
// lab's name. Of several folders, the one around the others is it, if it has all that they have.
func (s search) place(lab course.Lab) (folder, refused string) {
	candidates := s.candidates(lab)
	for _, named := range []func(dir string) bool{
		func(dir string) bool { return strings.EqualFold(path.Base(dir), lab.ID) },
		func(dir string) bool { return bears(path.Base(dir), lab) },
		func(string) bool { return true },
	} {
		var dirs []string
		for _, dir := range candidates {
			if named(dir) {
				dirs = append(dirs, dir)
			}
		}
		if len(dirs) > 0 {
			return s.one(dirs, lab)
		}
	}
	return "", ""
}

// candidates lists the folders that hold files of the lab, nearest to the root first.
func (s search) candidates(lab course.Lab) []string {
	var dirs []string
	for dir := range s.survey.dirs {
		if s.survey.count(dir, lab) > 0 && !s.otherLabs(dir, lab) && !s.underLabs(dir, lab) {
			dirs = append(dirs, dir)
		}
	}
	slices.SortFunc(dirs, func(a, b string) int {
		if d := depth(a) - depth(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	// A folder that holds more files of another lab is that lab's, where there is a better one for this lab.
	better := slices.DeleteFunc(slices.Clone(dirs), func(dir string) bool {
		return slices.ContainsFunc(s.labs, func(other course.Lab) bool {
			return other.ID != lab.ID && s.survey.count(dir, other) > s.survey.count(dir, lab)
		})
	})
	if len(better) > 0 {
		return better
	}
	return dirs
}

func depth(dir string) int {
	if dir == "." {
		return 0
	}
	return 1 + strings.Count(dir, "/")
}

// bears reports whether a folder's name begins with the lab's, in whatever case: 04-Election-final.
func bears(name string, lab course.Lab) bool {
	return len(name) >= len(lab.ID) && strings.EqualFold(name[:len(lab.ID)], lab.ID)
}

// otherLabs reports whether a folder on the path bears the name of another lab.
func (s search) otherLabs(dir string, lab course.Lab) bool {
	for part := range strings.SplitSeq(dir, "/") {
		if !bears(part, lab) && slices.ContainsFunc(s.labs, func(other course.Lab) bool { return other.ID != lab.ID && bears(part, other) }) {
			return true
		}
	}
	return false
}

// underLabs reports whether the files in a folder without a lab's name are those of a selected lab, and this lab is one
// that the selected lab builds on.
func (s search) underLabs(dir string, lab course.Lab) bool {
	if bears(path.Base(dir), lab) || slices.ContainsFunc(s.selected, func(x course.Selected) bool { return x.Lab.ID == lab.ID }) {
		return false
	}
	return slices.ContainsFunc(s.selected, func(x course.Selected) bool { return s.survey.count(dir, x.Lab) > 0 })
}

// one chooses among folders that could all hold the lab.
func (s search) one(dirs []string, lab course.Lab) (folder, refused string) {
	first := dirs[0]
	for _, other := range dirs[1:] {
		if first != "." && !strings.HasPrefix(other, first+"/") || !s.survey.covers(first, other, lab) {
			return "", s.scattered(dirs, lab)
		}
	}
	if bears(path.Base(first), lab) {
		return first, ""
	}
	for _, other := range s.selected {
		if other.Lab.ID != lab.ID && s.survey.count(first, other.Lab) > 0 {
			where := "at the submission's root"
			if first != "." {
				where = "in the submission's folder " + quoted(first)
			}
			return "", fmt.Sprintf("the files %s could belong to %s or to %s: name the lab", where, lab.ID, other.Lab.ID)
		}
	}
	return first, ""
}

func (s search) scattered(dirs []string, lab course.Lab) string {
	var found []string
	for _, name := range s.survey.files {
		if slices.Contains(dirs, path.Dir(name)) && slices.Contains(lab.Files(), path.Base(name)) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return fmt.Sprintf("the submission's files (%s) are in several folders: hand in one folder, with each file once", some(found))
}

// some names a few of a list of strangers' names.
func some(names []string) string {
	var list []string
	for _, name := range names[:min(len(names), maxNamed)] {
		list = append(list, quoted(name))
	}
	if n := len(names) - maxNamed; n > 0 {
		list = append(list, fmt.Sprintf("%d more", n))
	}
	return strings.Join(list, ", ")
}

// none says that the submission has no file of the lab, what it has, and what to do.
func (s search) none(files []string) string {
	text := fmt.Sprintf("the submission has none of the files that are graded (%s)", strings.Join(files, ", "))
	near := map[string]string{}
	var packed []string
	have := slices.Sorted(slices.Values(s.survey.files)) // a folder's order is that of its file system
	for _, name := range have {
		if IsArchive(name) {
			packed = append(packed, name)
		}
		if want := nearly(path.Base(name), files); want != "" && near[want] == "" {
			near[want] = name
		}
	}
	switch {
	case len(near) > 0:
		var list []string
		for _, want := range files {
			if name := near[want]; name != "" && len(list) < maxNamed {
				list = append(list, fmt.Sprintf("%s is nearly %s", quoted(name), want))
			}
		}
		return text + ": " + strings.Join(list, ", ") + "; hand the files in under their own names"
	case len(packed) > 1:
		return text + ", but several archives (" + some(packed) + "): hand in one"
	case len(s.survey.files) == 0 && !s.survey.cut:
		return text + ": it is empty"
	}
	text += "; it has " + some(have)
	if s.survey.cut {
		text += fmt.Sprintf(" (after %d files and folders the search ended)", maxLook)
	}
	return text + ": hand in the lab's files, in one folder or archive"
}

// renamed is what programs make of a file's name when there is one already, or when they add an ending of their own.
var renamed = regexp.MustCompile(`(?i)^(?:copy of |copie de |kopie von )?(.+?)(?: ?\(\d+\)|[-_ ]+(?:copy|kopie|old|new|final|v?\d+)|~)*\.go(?:\.txt|\.text|\.bak|\.orig|\.html?|~)?$`)

// nearly returns the permitted file that a name is nearly: in another case, with an ending added, or numbered; "" if none.
func nearly(name string, files []string) string {
	m := renamed.FindStringSubmatch(name)
	if m == nil || slices.Contains(files, name) {
		return ""
	}
	for _, file := range files {
		if strings.EqualFold(m[1]+".go", file) {
			return file
		}
	}
	return ""
}

// nearNote says of a file that is missing from a folder which file there could be meant; "" if none.
func (s survey) nearNote(dir, file string) string {
	for _, name := range s.dirs[dir] {
		if nearly(name, []string{file}) != "" {
			return fmt.Sprintf(" (is %s meant? it must be named %s)", quoted(name), file)
		}
	}
	return ""
}

// linked refuses a link in place of a folder in which the lab is looked for.
func linked(r *os.Root, lab course.Lab) string {
	for _, at := range []string{"labs", filepath.Join("labs", lab.ID), lab.ID} {
		if info, err := r.Lstat(at); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return fmt.Sprintf("the submission's %s is a symbolic link; links are not followed", filepath.ToSlash(at))
		}
	}
	return ""
}
