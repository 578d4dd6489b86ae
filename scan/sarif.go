package scan

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"weir/dlp"
	"weir/rules"
)

// SARIF is a Reporter that writes a log in the Static Analysis Results Interchange Format 2.1.0 (OASIS), one run with all its results, as
// they come.
type SARIF struct {
	w       *bufio.Writer
	rules   []*rules.Rule
	version string
	index   map[*rules.Rule]int
	asides  []sarifNotice
	seen    map[string]int // places that look alike, so that their fingerprints differ
	begun   bool
	comma   bool
}

// NewSARIF returns a SARIF that writes to w. set are the rules of the run; those that look at files are listed. version is Weir's.
func NewSARIF(w io.Writer, set *rules.Set, version string) *SARIF {
	s := &SARIF{w: bufio.NewWriter(w), version: version, index: map[*rules.Rule]int{}, seen: map[string]int{}}
	for _, r := range set.Rules {
		if r.Regex == "" || dlp.ForFiles(r, nameField) || dlp.ForFiles(r, contentField) {
			s.index[r] = len(s.rules)
			s.rules = append(s.rules, r)
		}
	}
	return s
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifRule struct {
	ID               string         `json:"id"`
	ShortDescription sarifText      `json:"shortDescription"`
	Help             sarifText      `json:"help"`
	Default          sarifDefault   `json:"defaultConfiguration"`
	Properties       map[string]any `json:"properties"`
}

type sarifDefault struct {
	Level string `json:"level"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Kind         string            `json:"kind,omitempty"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Properties   map[string]any    `json:"properties"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int   `json:"startLine,omitempty"`
	StartColumn int   `json:"startColumn,omitempty"`
	EndLine     int   `json:"endLine,omitempty"`
	EndColumn   int   `json:"endColumn,omitempty"`
	ByteOffset  int64 `json:"byteOffset"`
	ByteLength  int64 `json:"byteLength"`
}

type sarifNotice struct {
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifInvocation struct {
	Successful bool          `json:"executionSuccessful"`
	Notices    []sarifNotice `json:"toolExecutionNotifications"`
}

// maxNotices bounds the files that are named because they were not looked at; the rest is counted.
const maxNotices = 1000

// levels of results by severity, and what GitHub sorts by.
var (
	sarifLevels = [...]string{rules.Info: "note", rules.Low: "note", rules.Medium: "warning", rules.High: "error", rules.Critical: "error"}
	sarifScores = [...]string{rules.Info: "1.0", rules.Low: "3.0", rules.Medium: "5.5", rules.High: "8.0", rules.Critical: "9.5"}
)

func (s *SARIF) begin() error {
	if s.begun {
		return nil
	}
	s.begun = true
	list := make([]sarifRule, len(s.rules))
	for i, r := range s.rules {
		list[i] = sarifRule{
			ID: r.ID, ShortDescription: sarifText{orID(r.Description, r.ID)}, Help: sarifText{rules.Explain(r, nil, InWords(r))}, Default: sarifDefault{sarifLevels[r.Severity]},
			Properties: map[string]any{"tags": append([]string{"security"}, r.Tags...), "security-severity": sarifScores[r.Severity]},
		}
	}
	fmt.Fprint(s.w, `{"$schema":"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json","version":"2.1.0","runs":[{`)
	fmt.Fprintf(s.w, `"tool":{"driver":{"name":"weir","version":%s,"rules":`, quoted(s.version))
	if err := s.put(list); err != nil {
		return err
	}
	_, err := fmt.Fprint(s.w, "}},\n\"columnKind\":\"unicodeCodePoints\",\"results\":[")
	return err
}

func orID(text, id string) string {
	if text == "" {
		return id
	}
	return text
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string always can be
	return string(b)
}

func (s *SARIF) put(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = s.w.Write(b)
	}
	return err
}

// Result implements Reporter.
func (s *SARIF) Result(r *Result) error {
	if err := s.begin(); err != nil {
		return err
	}
	for i := range r.Findings {
		if err := s.result(r.Path, &r.Findings[i]); err != nil {
			return err
		}
	}
	for _, m := range r.More {
		f := Finding{Rule: m.Rule, Excerpt: fmt.Sprintf("%d more in this file", m.Count), Place: Place{Off: -1}}
		if err := s.result(r.Path, &f); err != nil {
			return err
		}
	}
	for _, a := range aside(r) {
		if a.Type == "skipped" {
			continue
		}
		if len(s.asides) < maxNotices {
			s.asides = append(s.asides, sarifNotice{"error", sarifText{a.Type + ": " + a.Why}, []sarifLocation{{sarifPhysical{Artifact: sarifArtifact{uri(r.Path)}}}}})
		}
	}
	return nil
}

func (s *SARIF) result(path string, f *Finding) error {
	out := sarifResult{
		RuleID: f.Rule.ID, RuleIndex: s.index[f.Rule], Level: sarifLevels[f.Rule.Severity],
		Message:      sarifText{orID(f.Rule.Description, f.Rule.ID) + ": " + f.Excerpt},
		Fingerprints: map[string]string{"weirPlace/v1": s.place(path, f)},
		Properties:   map[string]any{"confidence": f.Confidence},
	}
	if f.Member != "" {
		out.Properties["member"] = f.Member
	}
	if f.Fingerprint != "" {
		out.Fingerprints["weirValue/v1"] = f.Fingerprint
	}
	if f.Test {
		out.Kind, out.Level = "informational", "none"
	}
	at := sarifPhysical{Artifact: sarifArtifact{uri(path)}}
	if p := &f.Place; p.Off >= 0 && f.Field != nameField {
		at.Region = &sarifRegion{ByteOffset: p.Off, ByteLength: f.Length, StartLine: p.Line}
		if p.Char > 0 {
			at.Region.StartColumn = p.Char
			if p.EndChar > 0 && f.Length > 0 {
				at.Region.EndLine, at.Region.EndColumn = p.EndLine, p.EndChar
			}
		}
	}
	out.Locations = []sarifLocation{{at}}
	sep := "\n"
	if s.comma {
		sep = ",\n"
	}
	s.comma = true
	if _, err := s.w.WriteString(sep); err != nil {
		return err
	}
	return s.put(out)
}

// place is a hash of what tells a finding from others and stays as it is when lines above it change. It is made of what may be shown alone.
func (s *SARIF) place(path string, f *Finding) string {
	h := sha256.Sum256([]byte(strings.Join([]string{f.Rule.ID, filepath.ToSlash(path), f.Field, f.Excerpt}, "\x00")))
	name := hex.EncodeToString(h[:12])
	s.seen[name]++
	return fmt.Sprintf("%s:%d", name, s.seen[name])
}

// uri is a path as SARIF has it: relative ones as they are, absolute ones with their scheme.
func uri(path string) string {
	path = filepath.ToSlash(path)
	if filepath.IsAbs(path) {
		return (&url.URL{Scheme: "file", Path: path}).String()
	}
	return (&url.URL{Path: path}).String()
}

// End implements Reporter.
func (s *SARIF) End(sum *Summary) error {
	if err := s.begin(); err != nil {
		return err
	}
	fmt.Fprint(s.w, "\n],\n\"invocations\":[")
	if s.asides == nil {
		s.asides = []sarifNotice{}
	}
	if err := s.put(sarifInvocation{sum.Whole(), s.asides}); err != nil {
		return err
	}
	fmt.Fprint(s.w, "],\"properties\":")
	if err := s.put(map[string]any{"summary": sum.String()}); err != nil {
		return err
	}
	fmt.Fprintln(s.w, "}]}")
	return s.w.Flush()
}
