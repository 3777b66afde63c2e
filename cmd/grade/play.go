package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"distlabs/internal/grading/course"
	"distlabs/internal/grading/submission"
	"distlabs/internal/grading/workspace"
	"distlabs/internal/learning/learn"
	"distlabs/internal/learning/play"
	"distlabs/internal/learning/watch"
)

// playFlags are the flags of grade play.
type playFlags struct {
	out      string
	solution bool
	course   bool
	port     int
	seed     string
}

func playCommand() *cobra.Command {
	var f playFlags
	cmd := &cobra.Command{
		Use:   "play [lab, part or test ...]",
		Short: "Be the network: run your code in the browser, one message at a time",
		Long: `Run the lab's code in the browser and decide what happens next: which message
arrives, which is lost or arrives twice, when time passes, which node crashes.
The rules are checked after every step. Puzzles ask you to bring something about.

The command builds your code for the browser, serves the page on this machine and
prints its address. When you save a file, it builds again, and the page plays the
same steps with the new code. Every step has a command that runs the same steps in
go test.

With the name of a test, the page shows one run of that test and asks "what if":
what if this message had been lost, or had arrived, or this node had crashed here?
The run is made again with the change, and the page says whether the test still
fails. The seed is that of --seed, or of the failure recorded last, or 1.

--out writes the pages into a folder and ends: any server of files can serve it.
--course writes the pages of all labs, with the reference solutions.

Exit status: 0; 1 if the code does not compile.`,
		Example: `  grade play 4C
  grade play 4C --solution
  grade play TestHalfIsNoMajority4C --seed 7
  grade play --course --out site`,
		RunE: action(func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.out, "out", "", "write the pages into this `directory`, and end")
	flags.BoolVar(&f.solution, "solution", false, "play with the reference solutions")
	flags.BoolVar(&f.course, "course", false, "all labs, with the reference solutions")
	flags.StringVar(&f.seed, "seed", "", "the `seed` of the run")
	flags.IntVar(&f.port, "port", 0, "of the address on this machine (default: a free one)")
	return cmd
}

func (f playFlags) run(cmd *cobra.Command, args []string) error {
	switch {
	case f.course && len(args) > 0:
		return usage(errors.New("--course is about all labs: name none"))
	case !f.course && len(args) == 0:
		return usage(errors.New("name a part or a test to play, such as 4C, or give --course"))
	case f.port < 0 || f.port > 65535:
		return usage(fmt.Errorf("--port %d is not a port: want a number from 0 to 65535", f.port))
	}
	seed, err := f.chosenSeed()
	if err != nil {
		return usage(err)
	}
	c, site, err := f.find(args, seed)
	if err != nil {
		return err
	}
	b, err := workspace.New(cmd.Context(), c, workspace.Options{})
	if err != nil {
		return err
	}
	err = f.play(cmd, b, site)
	return errors.Join(err, b.Close())
}

// chosenSeed is the seed of --seed; 0 if there is none.
func (f playFlags) chosenSeed() (uint64, error) {
	if f.seed == "" {
		return 0, nil
	}
	seed, err := strconv.ParseUint(f.seed, 10, 64)
	if err != nil || seed == 0 || seed > maxSeed {
		return 0, fmt.Errorf("--seed %q is not a seed: want a whole number from 1 to %d", f.seed, uint64(maxSeed))
	}
	return seed, nil
}

// maxSeed is the largest seed that a page can name: its numbers are floating-point ones.
const maxSeed = 1<<53 - 1

// find finds what is to be played: a test, or the scenarios of labs and parts.
func (f playFlags) find(args []string, seed uint64) (*course.Course, *play.Site, error) {
	named := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "Test") })
	if named >= 0 && len(args) > 1 {
		return nil, nil, usage(fmt.Errorf("%s is a test: name it alone", args[named]))
	}
	if named < 0 {
		c, selected, err := open(args)
		if err != nil {
			return nil, nil, err
		}
		scenes, err := play.Scenes(c, selected)
		if err != nil {
			return nil, nil, usage(err)
		}
		site := f.site(c, scenes)
		site.First = seed
		return c, site, nil
	}
	c, _, err := open(nil)
	if err != nil {
		return nil, nil, err
	}
	test, err := c.TestNamed(args[0])
	if err != nil {
		return nil, nil, usage(err)
	}
	site := f.site(c, []course.Selected{test})
	if test.Parts[0].Scenario == args[0] { // it searches schedules: these are played
		site.First = seed
		return c, site, nil
	}
	if seed == 0 {
		seed = min(play.LastSeed(c, test.Lab, args[0]), maxSeed)
	}
	site.Seed = &play.Seed{Test: args[0], Seed: seed}
	if f.out == "" {
		site.Dir = filepath.Join(filepath.Dir(site.Dir), args[0])
	}
	return c, site, nil
}

// site says what is made, and where.
func (f playFlags) site(c *course.Course, scenes []course.Selected) *play.Site {
	site := &play.Site{Dir: f.out, Scenes: scenes, Source: submission.Source{Kind: course.WorkingTree}, Live: f.out == ""}
	if f.solution || f.course {
		site.Source.Kind = course.Solution
	}
	if f.out == "" {
		name := "course"
		if !f.course {
			name = scenes[0].Lab.ID
		}
		site.Dir = filepath.Join(c.Root, ".labs", "play", name)
	}
	return site
}

// play writes the pages, and serves them unless they are for another server.
func (f playFlags) play(cmd *cobra.Command, b *workspace.Builder, site *play.Site) error {
	p := newPrinter(cmd.OutOrStdout())
	saves := watch.Begin(b.Course()) // to build may take a minute
	if err := site.Write(cmd.Context(), b); err != nil {
		return refusedToPlay(p, err)
	}
	if f.out != "" {
		p.printf("wrote the pages of %s to %s; serve the folder with any server of files\n", partsOf(site), f.out)
		return nil
	}
	ctx := cmd.Context()
	if site.Source.Kind == course.WorkingTree {
		go saves.Run(ctx, func(files []learn.File) { rebuild(ctx, p, b, site, files) }, func() {})
	}
	return play.Serve(ctx, site, net.JoinHostPort("127.0.0.1", strconv.Itoa(f.port)), func(url string) {
		p.printf("play at %s\n(Ctrl+C ends)\n", url)
	})
}

// partsOf names the parts that can be played.
func partsOf(site *play.Site) string {
	if site.Seed != nil {
		return site.Seed.Test
	}
	var names []string
	for _, s := range site.Scenes {
		for _, p := range s.Parts {
			names = append(names, p.ID)
		}
	}
	return strings.Join(names, ", ")
}

// rebuild builds the code again after files were saved that it is made of.
func rebuild(ctx context.Context, p *printer, b *workspace.Builder, site *play.Site, files []learn.File) {
	for _, s := range site.Scenes {
		needs := b.Course().Needs(s.Lab)
		if !slices.ContainsFunc(files, func(f learn.File) bool {
			return slices.ContainsFunc(needs, func(l course.Lab) bool { return l.ID == f.Lab })
		}) {
			continue
		}
		switch err := site.Rebuild(ctx, b); {
		case err == nil:
			p.printf("built again\n")
		case ctx.Err() == nil:
			var status *exitError
			if err = refusedToPlay(p, err); !errors.As(err, &status) {
				p.printf("%v\n", err)
			}
		}
		return
	}
}

// refusedToPlay prints why code cannot be played.
func refusedToPlay(p *printer, err error) error {
	refused, ok := errors.AsType[play.Refused](err)
	if !ok {
		return err
	}
	p.printf("%s %s\n", p.bad(refused.Lab), refused.Why)
	for _, line := range refused.Compile[min(1, len(refused.Compile)):] {
		p.printf("    %s\n", line)
	}
	return &exitError{code: exitFailed}
}
