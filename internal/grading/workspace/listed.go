package workspace

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/sandbox"
)

// notGo are the lists of go list that hold what no lab has: files that are not Go, or not Go alone, and files to embed.
var notGo = strings.Fields("CgoFiles EmbedPatterns CFiles CXXFiles MFiles HFiles FFiles SFiles SwigFiles SwigCXXFiles SysoFiles")

// listed is what the go command says that it would compile of a package, by the names of go list.
type listed map[string][]string

// list asks the go command what it would compile of a submission, and refuses what no lab may have. The gate has read the same files
// by itself; here the compiler's own front door is asked, so that a file that the gate overlooks, or reads in another way, imports
// nothing either: the compiler knows no package beyond this list.
func (w *Workspace) list(ctx context.Context, p *Lab) error {
	fields := "-json=GoFiles,Imports," + strings.Join(notGo, ",")
	for _, lab := range w.b.course.Needs(p.Lab) {
		out, refused, err := w.reading(ctx, lab, "go command", sandbox.Command{
			Path: w.b.tools.command(), Args: []string{"list", "-e", fields, "./" + lab.Dir()}, Dir: w.Root, Env: w.goEnv(),
		})
		if err != nil {
			return err
		}
		var l listed
		switch {
		case refused != "":
			p.Refused = refused
		case json.Unmarshal(out.Output, &l) != nil:
			p.Refused = "the go command cannot read the source"
		default:
			p.Refused = l.refuses(lab)
		}
		if p.Refused != "" {
			return nil
		}
	}
	return nil
}

// refuses says why a package is not compiled; "" if it may be.
func (l listed) refuses(lab course.Lab) string {
	allowed, files := gate.Allowed(lab), lab.Files()
	for _, path := range l["Imports"] {
		if !slices.Contains(allowed, path) {
			return fmt.Sprintf("the go command would compile %s with the package %q, which a submission may not import", lab.ID, path)
		}
	}
	for _, name := range l["GoFiles"] {
		if !slices.Contains(files, name) {
			return fmt.Sprintf("the go command would compile %s, which is not among the files of %s", name, lab.ID)
		}
	}
	for _, kind := range notGo {
		if other := l[kind]; len(other) > 0 {
			return fmt.Sprintf("the go command would build %q into %s, which is Go alone", other[0], lab.ID)
		}
	}
	return ""
}
