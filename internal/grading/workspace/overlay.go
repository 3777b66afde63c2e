package workspace

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// An overlay is the text that the go command reads in place of that of some files, by their paths (-overlay). The files stay as they
// are, for whatever reads them meanwhile.
type overlay map[string][]byte

// write writes the texts below dir, each under its file's own name, and the file that tells the go command about them, of which it
// returns the path. names gives the output of the go command, which works in root, the names of the files themselves.
func (o overlay) write(dir, root string) (list string, names *strings.Replacer, err error) {
	replace := map[string]string{}
	var pairs []string
	for file, text := range o {
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return "", nil, fmt.Errorf("workspace: %w", err)
		}
		place := filepath.Join(dir, rel)
		if err := os.MkdirAll(filepath.Dir(place), 0o777); err != nil {
			return "", nil, fmt.Errorf("workspace: %w", err)
		}
		if err := os.WriteFile(place, text, 0o666); err != nil {
			return "", nil, fmt.Errorf("workspace: %w", err)
		}
		replace[file] = place
		pairs = append(pairs, place, rel)
		if short, err := filepath.Rel(root, place); err == nil { // the go command shortens what is shorter so
			pairs = append(pairs, short, rel)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	list = filepath.Join(dir, "overlay.json")
	if err == nil {
		err = os.WriteFile(list, text, 0o666)
	}
	if err != nil {
		return "", nil, fmt.Errorf("workspace: %w", err)
	}
	return list, strings.NewReplacer(pairs...), nil
}
