package main

import (
	"log/slog"

	"weir/daemon"
	"weir/rules"
)

// toldProblem is something that is wrong with a file, as programs get it.
type toldProblem struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // 0: not known
	Column int    `json:"column"`
	Level  string `json:"level"` // error, warning
	What   string `json:"what"`
	Hint   string `json:"hint"`
}

func toldProblems(problems rules.Problems) []toldProblem {
	out := []toldProblem{}
	for _, p := range problems {
		level := "error"
		if p.Level == rules.Warning {
			level = "warning"
		}
		out = append(out, toldProblem{p.File, p.Line, p.Col, level, p.What, p.Hint})
	}
	return out
}

// report prints problems to stderr. It returns an error, already printed, if one of them is more than a warning.
func report(problems rules.Problems) error {
	for _, p := range problems {
		level := slog.LevelWarn
		if p.Level == rules.Error {
			level = slog.LevelError
		}
		text := p.String()
		if p.Line == 0 { // there is no place that it could begin with
			text = "weir: " + text
		}
		complain(level, text)
	}
	return wrong(problems)
}

// reportPolicy reports what is wrong with the policy of a configuration.
func reportPolicy(conf *daemon.Config) error {
	_, _, problems := daemon.ConfiguredPolicy(conf)
	return report(problems)
}

// wrong is an error, of which all is said, if one of the problems is more than a warning.
func wrong(problems rules.Problems) error {
	if problems.Failed() {
		return exit{code: exitUsage}
	}
	return nil
}
