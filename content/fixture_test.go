package content

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// fixtureText is what the fixtures hold.
func fixtureText() string {
	var b strings.Builder
	for i := range 1300 {
		fmt.Fprintf(&b, "line %d: what is here is told, and what is told is here\n", i*i%97)
	}
	return b.String()
}

// TestFixtures reads what programs of forms have made that nothing here writes.
func TestFixtures(t *testing.T) {
	want := fixtureText()
	for name, text := range fixtures {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		f, _ := formOf(b, false, true)
		if kind, _, _ := strings.Cut(name, " "); f == nil || f.name != kind {
			t.Errorf("%s: taken for %v", name, f)
			continue
		}
		for _, s := range sameInPieces(t, f.read, b) {
			if s.text != want || !s.whole || s.fault != noFault {
				t.Errorf("%s: %q: %d bytes, fault %d; want %d bytes", name, s.name, len(s.text), s.fault, len(want))
			}
		}
		// Whatever is broken, it ends, and makes no more of it than there was.
		for i := 0; i < len(b); i += 1 + i/50 {
			c := []byte(string(b))
			c[i] ^= 1 << (i % 8)
			for _, s := range readAll(t, f.read, c, len(c)) {
				if len(s.text) > 4*len(want) {
					t.Errorf("%s: broken at %d, %d bytes came out", name, i, len(s.text))
				}
			}
		}
	}
}

// fixtures were made by xz, lz4, lzip and the libraries of Python, in base64.
var fixtures = map[string]string{
	"xz": "" +
		"/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4RuVAVZdADYaSh8IoCZWThBbU9aCE1rGgRjDHEvj9ET5vhaeMINeFjZZG5sppkJ65KTXpe5zzLnCTHXZobReWi/R2GJVs4lPQRuAGVwhnhJnLr4+WAeIUp" +
		"Ku68BejiX/BiojKQYJvwXiYoDB0BdpsE7+9hG7br4VshS1nHy8fXbu55CCE85XD00ei3UkicxKzImixkCrx2UMR19UHNa3EdBGtImOTrMAB7H+Z7BOZJ+a8RVpVdwaMZB3cl/91Sgkfrjg40iCoCUu" +
		"TNVOAZYrB78R0wPhG1K2ofqWcItMPNI9EOEr/qwKbIPhfz8wNSLDZI35DlL+fBZYhOlgBvop67SCJYyDtoENUaEj4Sp5Z3OvbnD3QL1HUyQMfwikSQQlRZxNBUbGknH8peMTisxKxsnj9bj9F/mr1c" +
		"fz2sMWVNqrewhmyMmXBOxQg3/GrbIM2QPjwHoXXHiDG6PTAAAAAOLCozrAKfdDAAHyApa3BABGrJndscRn+wIAAAAABFla",
	"xz in blocks": "" +
		"/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4HUvAUddADYaSh8IoCZWThBbU9aCE1rGgRjDHEvj9ET5vhaeMINeFjZZG5sppkJ65KTXpe5zzLnCTHXZobReWi/R2GJVs4lPQRuAGVwhnhJnLr4+WAeIUp" +
		"Ku68BejiX/BiojKQYJvwXiYoDB0BdpsE7+9hG7br4VshS1nHy8fXbu55CCE85XD00ei3UkicxKzImixkCrx2UMR19UHNa3EdBGtImOTrMAB7H+Z7BOZJ+a8RVpVdwaMZB3cl/91Sgkfrjg40iCoCUu" +
		"TNVOAZYrB78R0wPhG1K2ofqWcItMPNI9EOEr/qwKbIPhfz8wNSLDZI35DlL+fBZYhOlgBvop67SCJYyDtoENUaEj4Sp5Z3OvbnD3QL1HUyQMfwikSQQlRZxNBUbGknH8peMTisxKxsnj9bj9F/mr1c" +
		"fz2sMWVNqrewhmyMmXBOs+iIIAAAAALQR3fl95u4gCACEBFgAAAHQv5aPgdS8BSV0AMJ0ABZJDm+MK8ZxoqITIs5Cg/aDvar472vSJsrbt4rcnCjAQD7zIqo31wTD3gDfPucED9ICJlkpxgNAqdmzu" +
		"NZ9WPQji9Y2hGmwJ2TlXuvPbdkJvI3mM33Kml0yuJAfAr9iHpd/z7u7VEZDoQT8fsYGO8PpQyNfIRPra7KnvnO8Dm1xafHXEE0aQ3kYV7M4n00UQBz+TLhvl0GXDtP8XShcXNf/xrD4z/QXiZeO2SG" +
		"vbc5Atk06XsmzvjUxfnaKIZkDXXoYjUaLGVUovRJv8P1/4G4dHzJdysugGEoUjm+wQr3gj0HQpjuFeCvuvce00HxEfGiJ4IFM4g5DN/2uGO3KiuocXYrij7f6mvaMU+2CkgLWHrvfGMBxOXIt/g3OV" +
		"6NikBbNVNSHQvdHZXj4yoNBpj656jxj9krDJGcbq2mATS1Sm8F4QAAAAAAAAKTz1tBALi74CACEBFgAAAHQv5aPgMTUBK10AOhvJzYfn96HjqXrnk5nq9T82VK4Gq9ZPn4Y8gLUhdQz+JPQSih6wAR" +
		"ugOytO5PNvItq5fGtH4SQ1YjfOa/ZQQeKl6D//4wd3ZCncf+4fIksHoasLW4JJGW7Z0dlWoIHElTM1vc5l5VPXg80r0Y/A6/IBKfON19zgI6Y3ihpkWVQFq2IOvbtidyox8149vstsZZdx7n6JBWrl" +
		"tWsVDveSIddgflYjz8oPLkOPYaaHyGDiZKcYU8frAiamdhHobXYS4FKvh2iz0blmC+sVI6YNWtIvSXE8oL2PRHmzA6woLjAXR7GKOK/7sdon5peP9VrM9xYDwIoiZTnGc6B8qg8O7iq5rxiPFr3743" +
		"9OHHj33ZbGAIelTOGNFxSvisLkPXJxcmgVqrFyzdkfCiAAAI+pzRnsN7J+AAPjArDqAeUCsOoBxwK2YjiOkNGsJz4tBAAAAAAEWVo=",
	"lzma": "" +
		"XQAAgAD//////////wA2GkofCKAmVk4QW1PWghNaxoEYwxxL4/RE+b4WnjCDXhY2WRubKaZCeuSk16Xuc8y5wkx12aG0Xlov0dhiVbOJT0EbgBlcIZ4SZy6+PlgHiFKSruvAXo4l/wYqIykGCb8F4m" +
		"KAwdAXabBO/vYRu26+FbIUtZx8vH127ueQghPOVw9NHot1JInMSsyJosZAq8dlDEdfVBzWtxHQRrSJjk6zAAex/mewTmSfmvEVaVXcGjGQd3Jf/dUoJH644ONIgqAlLkzVTgGWKwe/EdMD4RtStqH6" +
		"lnCLTDzSPRDhK/6sCmyD4X8/MDUiw2SN+Q5S/nwWWITpYAb6Keu0giWMg7aBDVGhI+EqeWdzr25w90C9R1MkDH8IpEkEJUWcTQVGxpJx/KXjE4rMSsbJ4/W4/Rf5q9XH89rDFlTaq3sIZsjJlwTsUI" +
		"N/xq2yDNkD48B6F1x4gxvUS+9H//sxDNU=",
	"lzip": "" +
		"TFpJUAEUADYaSh8IoCZWThBbU9aCE1rGgRjDHEvj9ET5vhaeMINeFjZZG5sppkJ65KTXpe5zzLnCTHXZobReWi/R2GJVs4lPQRuAGVwhnhJnLr4+WAeIUpKu68BejiX/BiojKQYJvwXiYoDB0BdpsE" +
		"7+9hG7br4VshS1nHy8fXbu55CCE85XD00ei3UkicxKzImixkCrx2UMR19UHNa3EdBGtImOTrMAB7H+Z7BOZJ+a8RVpVdwaMZB3cl/91Sgkfrjg40iCoCUuTNVOAZYrB78R0wPhG1K2ofqWcItMPNI9" +
		"EOEr/qwKbIPhfz8wNSLDZI35DlL+fBZYhOlgBvop67SCJYyDtoENUaEj4Sp5Z3OvbnD3QL1HUyQMfwikSQQlRZxNBUbGknH8peMTisxKxsnj9bj9F/mr1cfz2sMWVNqrewhmyMmXBOxQg3/GrbIM2Q" +
		"PjwHoXXHiDG9RL70f/+zEM1TOMeHGWGwEAAAAAAHcBAAAAAAAA",
	"bzip2": "" +
		"QlpoOTFBWSZTWQcgxX8AYqfZgAAQQAR/8CZlnIBAAvzgABAUAAAZMgoAAAyZAmqgQUk9DUGQClUmgAAD0ncSEzJCfhITwSEwJCayQmYkJ4JCaxJS/EeRhPuTNQ+U/EfKfmPonI5Gk3HE3RNp3Gk1GU" +
		"0m4/KYTaZjkZiq8TEeJ1Hcmk0n0TacjZSsR2nExHaZjEaTonAXUdJyOozGkynaephOJlOoqsRhOJ7HUcTUZTiaTicTFKrxPExGIzFVxNJtNJqMRpNJmkrSaTKZjMeSbTqPY+o+E+I0m0+E8TqOJmPE" +
		"7jonqeR5HqYJqTUepsnqajMeyYjuMJ2mo0mUymY4m41HabTkZjCcjqTomY3HqdJlPUwmI7TcYTtNJ0mEzJ5GZNJ54mE2ncZTuO09jkeJpO02mo5GCcJtPikqX9VKE+EhPpITIkJgkJqJCZEhMxITQS" +
		"E2CQmwkJkEhNBIT8SEwSE0JCYEhMCQmoJCZiQm0JCfxdyRThQkAcgxX8A=",
	"lz4": "" +
		"BCJNGERAXosCAADwBWxpbmUgMDogd2hhdCBpcyBoZXJlCACVdG9sZCwgYW5kGgAAEgAEIgARCjcAHzE3ACMfNDcAIx85pQAkHzY4ACMvMjU4ACMfM3AAJB804AAkHzZPASQfOL4BJB8zTwEkD6cAJC" +
		"80NzgAIy83MqgAJA8WASQPTgEkHzZwACQfOZ4CJQ+/ASQfNyMEJQ/gACQfNagAJB85fgMlD5UEJQ8EBSUP4AAlD6gAJB81wAEkHzjXAiQPnwIkHzLuAyQfOKgAJB81TwEkHzLXAiQfOOUFJQ+tBSUP" +
		"iAEkHzFwACQfOH8DJB82twMlD/gBJB8zwAEkHzEQAyUP7gMkDyYEJB849wEkHzefAiQfN3AAJR8zOABcDxgBXC84NfgBWx821gIkD0YDXC80OCYEWw+WBCUfMXYFXC82MVYGWy8yMjYHWy84OBYIWw" +
		"+GCCUfOGQJWy85NEQKXB8xJAtcHzYEDFsvMTLkDFsvMzPEDVsfNqQOXB8ygg9bLzQ3YhBbHzNAEVsvNjQgElsfMwATXC8xNt8TWh80uxRVDykV////////////////////////////////////////" +
		"//////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////" +
		"///////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////6pQbGQsIGElAAAADykV////////" +
		"////////////////////////////mVBoZXJlCgAAAAADNu8W",
	"lz4 with sums": "" +
		"BCJNGHxQlhsBAAAAAABupwIAAPAFbGluZSAwOiB3aGF0IGlzIGhlcmUIAJV0b2xkLCBhbmQaAAASAAQiABEKNwAfMTcAIx80NwAjHzmlACQfNjgAIy8yNTgAIx8zcAAkHzTgACQfNk8BJB84vgEkHz" +
		"NPASQPpwAkLzQ3OAAjLzcyqAAkDxYBJA9OASQfNnAAJB85ngIlD78BJB83IwQlD+AAJB81qAAkHzl+AyUPlQQlDwQFJQ/gACUPqAAkHzXAASQfONcCJA+fAiQfMu4DJB84qAAkHzVPASQfMtcCJB84" +
		"5QUlD60FJQ+IASQfMXAAJB84fwMkHza3AyUP+AEkHzPAASQfMRADJQ/uAyQPJgQkHzj3ASQfN58CJB83cAAlHzM4AFwPGAFcLzg1+AFbHzbWAiQPRgNcLzQ4JgRbD5YEJR8xdgVcLzYxVgZbLzIyNg" +
		"dbLzg4FghbD4YIJR84ZAlbLzk0RApcHzEkC1wfNgQMWy8xMuQMWy8zM8QNWx82pA5cHzKCD1svNDdiEFsfM0ARWy82NCASWx8zABNcLzE23xNaHzS7FFUPKRX/////////////////////////////" +
		"//////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////" +
		"//////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////" +
		"/////////////////////1xQaGVyZQp/tCXTAAAAAAM27xY=",
	"zip": "" +
		"UEsDBC4AAAAMACEIIVgzjHhxfAEAAJYbAQAFAAAAYnppcDJCWmg5MUFZJlNZByDFfwBip9mAABBABH/wJmWcgEAC/OAAEBQAABkyCgAADJkCaqBBST0NQZAKVSaAAAPSdxITMkJ+EhPBITAkJrJCZi" +
		"QngkJrElL8R5GE+5M1D5T8R8p+Y+icjkaTccTdE2ncaTUZTSbj8phNpmORmKrxMR4nUdyaTSfRNpyNlKxHacTEdpmMRpOicBdR0nI6jMaTKdp6mE4mU6iqxGE4nsdRxNRlOJpOJxMUqvE8TEYjMVXE" +
		"0m00moxGk0maStJpMpmMx5JtOo9j6j4T4jSbT4TxOo4mY8TuOiep5HkepgmpNR6myepqMx7JiO4wnaajSZTKZjibjUdptORmMJyOpOiZjcep0mU9TCYjtNxhO00nSYTMnkZk0nniYTadxlO47T2OR4" +
		"mk7TaajkYJwm0+KSpf1UoT4SE+khMiQmCQmokJkSEzEhNBITYJCbCQmQSE0EhPxITBITQkJgSEwJCagkJmJCbQkJ/F3JFOFCQByDFfwFBLAwQ/AAIADgAhCCFYM4x4cWYBAACWGwEABAAAAGx6bWEJ" +
		"BAUAXQAAgAAANhpKHwigJlZOEFtT1oITWsaBGMMcS+P0RPm+Fp4wg14WNlkbmymmQnrkpNel7nPMucJMddmhtF5aL9HYYlWziU9BG4AZXCGeEmcuvj5YB4hSkq7rwF6OJf8GKiMpBgm/BeJigMHQF2" +
		"mwTv72EbtuvhWyFLWcfLx9du7nkIITzlcPTR6LdSSJzErMiaLGQKvHZQxHX1Qc1rcR0Ea0iY5OswAHsf5nsE5kn5rxFWlV3BoxkHdyX/3VKCR+uODjSIKgJS5M1U4BlisHvxHTA+EbUrah+pZwi0w8" +
		"0j0Q4Sv+rApsg+F/PzA1IsNkjfkOUv58FliE6WAG+inrtIIljIO2gQ1RoSPhKnlnc69ucPdAvUdTJAx/CKRJBCVFnE0FRsaScfyl4xOKzErGyeP1uP0X+avVx/PawxZU2qt7CGbIyZcE7FCDf8atsg" +
		"zZA+PAehdceIMb1EvvR//7MQzVUEsBAi4DLgAAAAwAIQghWDOMeHF8AQAAlhsBAAUAAAAAAAAAAAAAAIABAAAAAGJ6aXAyUEsBAj8DPwACAA4AIQghWDOMeHFmAQAAlhsBAAQAAAAAAAAAAAAAAIAB" +
		"nwEAAGx6bWFQSwUGAAAAAAIAAgBlAAAAJwMAAAAA",
}
