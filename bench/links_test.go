package bench

import (
	"os"
	"path/filepath"
	"testing"
)

// The store in the etcd folder is the reference's, by links: none may point to a file that is gone.
func TestLinks(t *testing.T) {
	links, err := filepath.Glob("etcd/*.go")
	if err != nil || len(links) == 0 {
		t.Fatalf("no files in etcd: %v", err)
	}
	for _, link := range links {
		if _, err := os.Stat(link); err != nil {
			t.Errorf("%s is a link to a file of lab 05 that is gone: %v", link, err)
		}
	}
}
