package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"distlabs/internal/harness/check/histfile"
)

// The exit statuses of check: what it found takes the place of the usual meanings of 1 and 2.
const (
	exitInvalid   = 1
	exitUndecided = 2
	exitMalformed = 3
)

func checkCommand() *cobra.Command {
	var (
		model string
		opts  histfile.Options
		page  string
		total int64
	)
	cmd := &cobra.Command{
		Use:   "check HISTORY --model MODEL",
		Short: "Check a history that a test of another system has recorded",
		Long: `Check the history in a file (- is standard input) with the checkers of this course.

A history is in EDN or JSON, as Jepsen and Maelstrom write it: one operation after
another, or all in one vector or array, each with type (invoke, ok, fail, info), f,
value and process; or the lines of a Jepsen log, as Porcupine's examples are.

The models:

` + modelTable() + `
Exit status: 0 valid; 1 invalid; 2 unknown, because a limit was met, or usage; 3 the
file is not a history of this model: the message names the line.`,
		Args: cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			if model == "" {
				return usage(errors.New("--model is missing; grade check --help lists the models"))
			}
			m, err := histfile.ModelNamed(model)
			if err != nil {
				return usage(err)
			}
			if cmd.Flags().Changed("total") {
				opts.Total = &total
			}
			return check(cmd, args[0], m, opts, page)
		}),
	}
	cmd.Flags().StringVar(&model, "model", "", "the model that the history must satisfy")
	cmd.Flags().StringVar(&page, "page", "", "write a page to this file that shows what is wrong, for a browser")
	cmd.Flags().DurationVar(&opts.Timeout, "timeout", time.Minute, "limit of a search for an order, for each key")
	cmd.Flags().Int64Var(&total, "total", 0, "of the model bank: what the accounts have together (default: what the first read has)")
	cmd.Flags().BoolVar(&opts.Negative, "allow-negative", false, "of the model bank: permit accounts below zero")
	if err := cmd.RegisterFlagCompletionFunc("model", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, m := range histfile.Models() {
			names = append(names, m.Name+"\t"+m.Says)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func modelTable() string {
	var b strings.Builder
	for _, m := range histfile.Models() {
		fmt.Fprintf(&b, "  %-20s %s\n", m.Name, m.Says)
	}
	return b.String()
}

func check(cmd *cobra.Command, file string, m histfile.Model, opts histfile.Options, page string) error {
	in := io.Reader(cmd.InOrStdin())
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return &exitError{code: exitMalformed, err: err}
		}
		defer f.Close()
		in = f
	}
	v, err := histfile.Check(in, m, opts)
	if err != nil {
		return &exitError{code: exitMalformed, err: fmt.Errorf("%s: %w", file, err)}
	}
	p := newPrinter(cmd.OutOrStdout())
	word := v.Answer.String()
	switch v.Answer {
	case histfile.Valid:
		word = p.good(word)
	case histfile.Invalid:
		word = p.bad(word)
	}
	p.printf("%s: %s (%s, %d operations)\n", file, word, m.Name, v.Ops)
	if v.Reason != "" {
		p.printf("    %s\n", v.Reason)
	}
	for _, line := range v.Lines {
		p.printf("    %s\n", line)
	}
	if err := writeHistoryPage(p, page, m, v); err != nil {
		return err
	}
	switch v.Answer {
	case histfile.Invalid:
		return &exitError{code: exitInvalid}
	case histfile.Undecided:
		return &exitError{code: exitUndecided}
	}
	return nil
}

// writeHistoryPage writes the page of an invalid history to a file, if one is asked for.
func writeHistoryPage(p *printer, file string, m histfile.Model, v histfile.Verdict) error {
	switch {
	case file == "":
		return nil
	case v.Page == nil:
		p.printf("    no page was written: %s\n", map[bool]string{true: "the model " + m.Name + " has none", false: "the history is " + v.Answer.String()}[v.Answer == histfile.Invalid])
		return nil
	}
	var page bytes.Buffer
	if err := v.Page(&page); err != nil {
		return err
	}
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
		return err
	}
	p.printf("    page: %s\n", file)
	return nil
}
