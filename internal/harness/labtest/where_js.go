package labtest

import (
	"os"
	"path"
	"sync"

	"distlabs/internal/harness/report"
)

// packageEnv tells a test binary in a browser, which has no files, of which package it is: ./labs/04-election.
const packageEnv = "LABS_PACKAGE"

var place = sync.OnceValue(func() report.Place {
	name := os.Getenv(packageEnv)
	return report.Place{Dir: path.Join("/course", name), Package: name}
})
