package enforce

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"weir/engine"
	"weir/wire"
)

// holding are the ways in which packets may be held while a benchmark runs.
var holding = []struct {
	name  string
	start func(b *testing.B, pod *space)
}{
	{"none", func(*testing.B, *space) {}},
	{"queue", func(b *testing.B, pod *space) {
		pod.guard(b, Config{Judge: func(*engine.Lane, []wire.Frame, []engine.Ruling, func(*engine.Cut)) {}})
	}},
	{"engine", func(b *testing.B, pod *space) { // an expression on a field keeps every message in the queue
		pod.inline(b, engineFor(b, "[modes]\ndefault = \"protect\"\n[[policy]]\nid = \"web\"\nprotocol = \"http\"\nwhere = { \"http.path\" = [\"/*\"] }\naction = \"allow\"\nundecided = { bytes = 4096, seconds = 5, action = \"allow\" }\n"), Config{})
	}},
	{"cleared", func(b *testing.B, pod *space) {
		pod.inline(b, engineFor(b, "[modes]\ndefault = \"protect\"\n[[policy]]\nid = \"all\"\naction = \"allow\"\n"), Config{})
	}},
}

// BenchmarkInlineThroughput is one connection that uploads as fast as it can, in an HTTP request.
func BenchmarkInlineThroughput(b *testing.B) {
	for _, h := range holding {
		b.Run(h.name, func(b *testing.B) {
			client, pod := pair(b)
			h.start(b, pod)
			l := pod.listen(b, "10.9.0.2")
			done := make(chan struct{})
			go func() {
				defer close(done)
				if c, err := l.Accept(); err == nil {
					io.Copy(io.Discard, c)
					c.Close()
				}
			}()
			conn := client.mustDial(b, l.Addr())
			conn.SetDeadline(time.Time{})
			io.WriteString(conn, "POST /upload HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000000000000\r\n\r\n")
			block := make([]byte, 64<<10)
			b.SetBytes(int64(len(block)))
			for b.Loop() {
				if _, err := conn.Write(block); err != nil {
					b.Fatal(err)
				}
			}
			conn.(*net.TCPConn).CloseWrite()
			<-done
		})
	}
}

// BenchmarkInlineLatency is one connection with HTTP requests, one after the other.
func BenchmarkInlineLatency(b *testing.B) {
	const request, answer = "GET /orders/1 HTTP/1.1\r\nHost: a.example\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, h := range holding {
		b.Run(h.name, func(b *testing.B) {
			client, pod := pair(b)
			h.start(b, pod)
			l := pod.listen(b, "10.9.0.2")
			go func() {
				c, err := l.Accept()
				buf := make([]byte, len(request))
				for err == nil {
					if _, err = io.ReadFull(c, buf); err == nil {
						_, err = io.WriteString(c, answer)
					}
				}
			}()
			conn := client.mustDial(b, l.Addr())
			conn.SetDeadline(time.Time{})
			buf := make([]byte, len(answer))
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				io.WriteString(conn, request)
				if _, err := io.ReadFull(conn, buf); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
		})
	}
}
