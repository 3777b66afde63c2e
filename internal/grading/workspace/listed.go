package workspace

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/gate"
	"distlabs/internal/grading/sandbox"
)

// listLimits are those of listing a package, which takes 30 ms of processor time.
var listLimits = sandbox.Limits{Memory: 1 << 30, Data: 3 << 30, CPU: 20 * time.Second, File: 1 << 20, Files: 256}

// A listed package is what the go command says that it would compile.
type listed struct {
	GoFiles, Imports                                 []string
	CgoFiles, EmbedPatterns                          []string
	CFiles, CXXFiles, MFiles, HFiles, FFiles, SFiles []string
	SwigFiles, SwigCXXFiles, SysoFiles               []string
}

// listFields are its fields, as go list takes them.
const listFields = "-json=GoFiles,Imports,CgoFiles,EmbedPatterns,CFiles,CXXFiles,MFiles,HFiles,FFiles,SFiles,SwigFiles,SwigCXXFiles,SysoFiles"

// list asks the go command what it would compile of a submission, and refuses what no lab may have. The gate has read the same files
// by itself; here the compiler's own front door is asked, so that a file that the gate overlooks, or reads in another way, imports
// nothing either: the compiler knows no package beyond this list.
func (w *Workspace) list(ctx context.Context, p *Lab) error {
	for _, lab := range append(w.b.course.Needs(p.Lab), p.Lab) {
		out, err := w.b.box.Run(ctx, sandbox.Command{
			Path: w.b.tools.command(), Args: []string{"list", "-e", listFields, "./" + lab.Dir()}, Dir: w.Root,
			Env: w.b.tools.env(filepath.Join(w.dir, "home"), filepath.Join(w.dir, "tmp")), Time: gateTime, Limits: listLimits,
		})
		if err != nil {
			return err
		}
		var l listed
		switch {
		case out.Stopped != "":
			p.Refused = "the source asks too much of the go command: it " + out.Stopped
		case out.Exit < 0 && !listLimits.Spent(out):
			return fmt.Errorf("workspace: listing %s: %w", lab.ID, ErrKilled)
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
	for _, path := range l.Imports {
		if !slices.Contains(allowed, path) {
			return fmt.Sprintf("the go command would compile %s with the package %q, which a submission may not import", lab.ID, path)
		}
	}
	for _, name := range l.GoFiles {
		if !slices.Contains(files, name) {
			return fmt.Sprintf("the go command would compile %s, which is not among the files of %s", name, lab.ID)
		}
	}
	if other := slices.Concat(l.CgoFiles, l.EmbedPatterns, l.CFiles, l.CXXFiles, l.MFiles, l.HFiles, l.FFiles, l.SFiles, l.SwigFiles, l.SwigCXXFiles, l.SysoFiles); len(other) > 0 {
		return fmt.Sprintf("the go command would build %q into %s, which is Go alone", other[0], lab.ID)
	}
	return ""
}
