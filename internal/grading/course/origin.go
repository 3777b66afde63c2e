package course

// Origin is where the files of a lab come from. Results name it.
type Origin string

// The origins. The first three are folders of a lab in the course; see [Lab.Dir], [Lab.SolutionDir] and [Lab.StubDir].
const (
	WorkingTree Origin = "working tree" // labs/ of this checkout: stubs until solved
	Solution    Origin = "solution"     // the reference
	Stub        Origin = "stub"         // the pristine stubs, where a submission lacks a lab that another builds on
	Submission  Origin = "submission"   // a directory from elsewhere
	Mutant      Origin = "mutant"       // the reference with one wrong idea in it
)
