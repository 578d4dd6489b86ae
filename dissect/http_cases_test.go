package dissect

// httpCases are dialogues, each played whole and in pieces.
var httpCases = []struct {
	name   string
	turns  []turn
	fields []string
	want   []string
	notes  []string
}{
	{
		name: "exchange",
		turns: []turn{
			{toS, "GET /a/b?c=%41 HTTP/1.1\r\nHost: X.Example:80\r\nUser-Agent: u\r\nCookie: k=v\r\nReferer: r\r\n\r\n"},
			{toC, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\nLocation: /l\r\n\r\nhello"},
		},
		want: []string{
			"1 http.request_line 1/0 GET /a/b?c=%41 HTTP/1.1", "1 http.method 2/0 GET", "1 http.uri 3/0 /a/b?c=%41", "1 http.uri 3/1 /a/b?c=A",
			"1 http.path 4/0 /a/b", "1 http.query 5/0 c=%41", "1 http.version 6/0 HTTP/1.1", "1 http.host 7/0 x.example",
			"1 http.user_agent 8/0 u", "1 http.cookie 9/0 k=v", "1 http.referer 10/0 r",
			"1 http.request.header 11/0 Host: X.Example:80\r\nUser-Agent: u\r\nCookie: k=v\r\nReferer: r\r\n",
			"2 http.response_line 1/0 HTTP/1.1 200 OK", "2 http.version 2/0 HTTP/1.1", "2 http.status 3/0 200", "2 http.reason 4/0 OK",
			"2 http.content_type 5/0 text/plain", "2 http.location 6/0 /l",
			"2 http.response.header 7/0 Content-Length: 5\r\nContent-Type: text/plain\r\nLocation: /l\r\n",
			"2 http.response.body 8/0 hello", "2 http.length 9/0 5",
		},
	},
	{
		name: "head, 304 and pipelining",
		turns: []turn{
			{toS, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n"},
			{toC, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		},
		fields: []string{"http.uri", "http.status", "http.response.body"},
		want:   []string{"1 http.uri 3/0 /", "2 http.uri 3/0 /2", "3 http.uri 3/0 /3", "4 http.status 3/0 200", "5 http.status 3/0 304", "6 http.status 3/0 200", "6 http.response.body 6/0 ok"},
	},
	{
		name: "chunked with extension and trailer",
		turns: []turn{
			{toS, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=token\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"},
		},
		fields: []string{"http.uri", "http.request.body", "http.request.header"},
		want: []string{"1 http.uri 3/0 /", "1 http.request.header 7/0 Host: a\r\nTransfer-Encoding: chunked\r\n", "1 http.request.header 9/0 x=token", "1 http.request.body 8/0 hello world",
			"1 http.request.header 10/0 X-Sum: 1\r\n", "2 http.uri 3/0 /2", "2 http.request.header 7/0 Host: a\r\n"},
	},
	{
		name: "100-continue and a body refused",
		turns: []turn{
			{toS, "PUT /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"},
			{toC, "HTTP/1.1 100 Continue\r\n\r\n"},
			{toS, "ab"},
			{toC, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"},
			{toS, "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\nExpect: 100-continue\r\n\r\n"},
			{toC, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"},
			{toS, "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"},
		},
		fields: []string{"http.uri", "http.status", "http.request.body"},
		want:   []string{"1 http.uri 3/0 /1", "2 http.status 3/0 100", "1 http.request.body 8/0 ab", "3 http.status 3/0 201", "4 http.uri 3/0 /2", "5 http.status 3/0 417", "6 http.uri 3/0 /3"},
	},
	{
		name: "until close, midway, roles by content",
		turns: []turn{
			{toS, "HTTP/1.0 200 OK\r\n\r\nbody until "},
			{toS, "the end"},
			{toC, "GET / HTTP/1.0\r\n\r\n"},
		},
		fields: []string{"http.uri", "http.response.body"},
		want:   []string{"1 http.response.body 5/0 body until the end", "2 http.uri 3/0 /"},
	},
	{
		name: "HTTP/0.9",
		turns: []turn{
			{toS, "GET /old\r\n"},
			{toC, "<html>no head</html>"},
		},
		fields: []string{"http.uri", "http.response.body"},
		want:   []string{"1 http.uri 3/0 /old", "2 http.response.body 1/0 <html>no head</html>"},
		notes:  []string{"1 http.truncated", "1 http.version_0_9"},
	},
	{
		name: "junk before an answer",
		turns: []turn{
			{toS, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
			{toC, "foobar\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		},
		fields: []string{"http.status", "http.response.body"},
		want:   []string{"2 http.response.body 1/0 foobar\r\n", "3 http.status 3/0 200", "3 http.response.body 6/0 ok"},
		notes:  []string{"2 http.unexpected_data"},
	},
	{
		name: "both length and chunked",
		turns: []turn{
			{toS, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"},
		},
		fields: []string{"http.uri"},
		want:   []string{"1 http.uri 3/0 /", "2 http.uri 3/0 /hidden"},
		notes:  []string{"1 http.length_and_transfer_coding"},
	},
	{
		name: "form and its view",
		turns: []turn{
			{toS, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 27\r\n\r\na=1+2&b=%41%u0042&c=%4&d=%2"},
		},
		fields: []string{"http.request.body"},
		want:   []string{"1 http.request.body 9/0 a=1+2&b=%41%u0042&c=%4&d=%2", "1 http.request.body 9/1 a=1 2&b=AB&c=%4&d=%2"},
	},
	{
		name: "JSON and its view",
		turns: []turn{
			{toC, "HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n{\"k\":\"a\\\"b\\u0041\\ud83d\\ude00 \\x \\/ \\ud83d\"}"},
		},
		fields: []string{"http.response.body"},
		want:   []string{"1 http.response.body 6/0 {\"k\":\"a\\\"b\\u0041\\ud83d\\ude00 \\x \\/ \\ud83d\"}", "1 http.response.body 6/3 {\"k\":\"a\"bA😀 \\x / \xed\xa0\xbd\"}"},
	},
	{
		name: "uri escaped twice",
		turns: []turn{
			{toS, "GET /%2541%252e%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n"},
		},
		fields: []string{"http.uri"},
		want:   []string{"1 http.uri 3/0 /%2541%252e%0d%0a", "1 http.uri 3/1 /%41%2e\r\n", "1 http.uri 3/2 /A.\r\n"},
		notes:  []string{"1 http.uri_crlf"},
	},
	{
		name: "header injection",
		turns: []turn{
			{toS, "GET /?a=x%0d%0aSet-Cookie:%20b=c HTTP/1.1\r\nHost: a\r\n\r\n"},
		},
		fields: []string{"http.method"},
		want:   []string{"1 http.method 2/0 GET"},
		notes:  []string{"1 http.header_injection", "1 http.uri_crlf"},
	},
	{
		name: "response splitting",
		turns: []turn{
			{toS, "GET /?a=x%0d%0a%0d%0aHTTP/1.1%20200%20OK HTTP/1.1\r\nHost: a\r\n\r\n"},
		},
		fields: []string{"http.method"},
		want:   []string{"1 http.method 2/0 GET"},
		notes:  []string{"1 http.response_splitting", "1 http.uri_crlf"},
	},
	{
		name: "text of several lines is no injection",
		turns: []turn{
			{toS, "GET /?a=Dear%20all,%0d%0a%0d%0aSubject:%20lunch%0aquery%20{%0auser:%20name HTTP/1.1\r\nHost: a\r\n\r\n"},
		},
		fields: []string{"http.method"},
		want:   []string{"1 http.method 2/0 GET"},
		notes:  []string{"1 http.uri_crlf"},
	},
	{
		name: "multipart file names",
		turns: []turn{
			{toS, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=\"xx\"\r\nContent-Length: 118\r\n\r\n--xx\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a b.txt\"\r\n\r\nfilename=\"not\"\r\n--xx\r\nA: filename=c\r\n\r\n\r\n--xx--\r\n"},
		},
		fields: []string{"http.body_file"},
		want:   []string{"1 http.body_file 10/0 a b.txt", "1 http.body_file 12/0 c"},
	},
	{
		name: "odd heads",
		turns: []turn{
			{toC, "HTTP/1.1 200 OK\nTransfer-Encoding\r\n :\r\n chunked\r\n \r\nX: 1\r\n\t\r\n\r\n\n3 \r\nabc\r\n0\r\n\r\n"},
		},
		fields: []string{"http.response.body"},
		want:   []string{"1 http.response.body 6/0 abc"},
		notes: []string{"1 http.bad_chunk_extension", "1 http.bad_header_name", "1 http.bare_lf", "1 http.doubtful_framing_name", "1 http.folded_framing", "1 http.folded_header",
			"1 http.odd_chunk_size"},
	},
}
