package main

import (
	"distlabs/internal/grading/course"
	"distlabs/internal/grading/result"
	"distlabs/internal/learning/learn"
)

// printFinish records what passed in a student's own run, and says so when a lab
// is complete by it.
func printFinish(p *printer, c *course.Course, attempt *learn.Attempt, graded *result.Result) error {
	finished, err := attempt.End(graded)
	if err != nil {
		return err
	}
	progress, err := learn.Load(c.Root)
	if err != nil {
		return err
	}
	for _, lab := range finished {
		p.printf("\n%s\n", learn.Finish(c, progress, lab))
	}
	return nil
}
