package bench

import (
	"os"
	"path/filepath"
	"testing"
)

// The etcd folder has a link to each test of lab 05, so that a new one is run there
// too, and no link to a file that is gone.
func TestLinks(t *testing.T) {
	tests, err := filepath.Glob("../labs/05-replication/*_test.go")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests of lab 05: %v", err)
	}
	links, err := filepath.Glob("etcd/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		links = append(links, filepath.Join("etcd", filepath.Base(test)))
	}
	for _, link := range links {
		if _, err := os.Stat(link); err != nil {
			t.Errorf("%s is to be a link to a file of lab 05: %v; ln -s ../%s %s", link, err, filepath.Join("../labs/05-replication", filepath.Base(link)), link)
		}
	}
}
