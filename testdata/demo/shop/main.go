// Command shop is the demo's two workloads: a web server that takes orders, and a client that sends one over a
// keep-alive connection, gzip-compressed, cut in the middle of the card number.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: shop serve|order ADDRESS")
	}
	switch os.Args[1] {
	case "serve":
		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
			fmt.Fprintln(w, `{"status":"ok"}`)
		})
		log.Fatal(http.ListenAndServe(os.Args[2], nil))
	case "order":
		if err := order(os.Args[2]); err != nil {
			log.Fatal(err)
		}
	default:
		log.Fatalf("%s: want serve or order", os.Args[1])
	}
}

// order looks at the catalogue, then orders, on one connection.
func order(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReader(c)
	if err := say(c, in, "GET /catalogue HTTP/1.1\r\nHost: shop\r\n\r\n"); err != nil {
		return err
	}
	fmt.Println("   GET /catalogue: answered")
	// Stored, not deflated, so that the number stands in the compressed bytes too and can be cut in its middle.
	var body bytes.Buffer
	z, _ := gzip.NewWriterLevel(&body, gzip.NoCompression)
	number := "4929" + "1234" + "5678" + "9015"
	fmt.Fprintf(z, `{"item":"tea","name":"A. Customer","card":"%s","cvv":"737"}`, number)
	z.Close()
	text := fmt.Sprintf("POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s",
		body.Len(), body.String())
	cut := strings.Index(text, number) + 8
	if err := say(c, in, text[:cut], text[cut:]); err != nil {
		return err
	}
	fmt.Println("   POST /orders:   answered. Its body is gzip, and one segment ends in the middle of the card number")
	return nil
}

func dial(addr string) (c net.Conn, err error) {
	for range 100 {
		if c, err = net.DialTimeout("tcp", addr, time.Second); err == nil {
			return c, nil
		}
		time.Sleep(50 * time.Millisecond) // the server is still starting
	}
	return nil, err
}

// say sends pieces, each in a segment of its own, and reads the answer.
func say(c net.Conn, in *bufio.Reader, pieces ...string) error {
	for i, p := range pieces {
		if i > 0 {
			time.Sleep(20 * time.Millisecond) // so that the kernel does not join them
		}
		if _, err := io.WriteString(c, p); err != nil {
			return err
		}
	}
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return err
}
