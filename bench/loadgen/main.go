// SPDX-License-Identifier: Apache-2.0

// Loadgen sends HTTPS requests and measures how long each takes. With a rate it is an open model:
// a request goes out at its moment whatever became of those before it, and its latency counts from
// that moment, so that a server that stalls is not asked more gently. Without one, so many workers
// ask one request after another, as fast as they are answered.
//
// The work stands as JSON on standard input, the result as JSON on standard output.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type request struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Body    string            `json:"body"`
	Headers map[string]string `json:"headers"`
}

type work struct {
	// Arrivals a second; 0 for the closed model.
	Rate float64 `json:"rate"`
	// Whether the time between two arrivals is random (Poisson), the same at each run.
	Poisson bool `json:"poisson"`
	// Requests of one arrival; 0 means 1.
	Burst   int     `json:"burst"`
	Workers int     `json:"workers"`
	Seconds float64 `json:"seconds"`
	// Time at the beginning that is sent like the rest and not counted.
	Warmup float64 `json:"warmup"`
	// Stop after each request was sent once, whatever the time.
	Once    bool    `json:"once"`
	Timeout float64 `json:"timeout"`
	HTTP2   bool    `json:"http2"`
	CA      string  `json:"ca"`
	Cert    string  `json:"cert"`
	Key     string  `json:"key"`
	// Sent in turn, from the first again after the last.
	Requests []request `json:"requests"`
}

type result struct {
	Seconds  float64        `json:"seconds"`
	Sent     int            `json:"sent"`
	Micros   []int64        `json:"microseconds"`
	Statuses map[string]int `json:"statuses"`
	Errors   map[string]int `json:"errors"`
	Allowed  int            `json:"allowed"`
	Denied   int            `json:"denied"`
	// The longest that a request went out behind its moment, in microseconds.
	Lag int64 `json:"lagMicroseconds"`
	// Of answers that were neither 2xx nor 403, the beginning of the first few.
	Samples []string `json:"samples"`
}

type recorder struct {
	sync.Mutex
	result
	counted time.Time
}

func (r *recorder) add(intended, began, done time.Time, status int, body []byte, err error) {
	r.Lock()
	defer r.Unlock()
	if intended.Before(r.counted) {
		return
	}
	r.Sent++
	if lag := began.Sub(intended).Microseconds(); lag > r.Lag {
		r.Lag = lag
	}
	if err != nil {
		text := err.Error()
		if len(text) > 200 {
			text = text[len(text)-200:]
		}
		r.Errors[text]++
		return
	}
	r.Statuses[strconv.Itoa(status)]++
	r.Micros = append(r.Micros, done.Sub(intended).Microseconds())
	if bytes.Contains(body, []byte(`"allowed":true`)) || bytes.Contains(body, []byte(`"allowed": true`)) {
		r.Allowed++
	} else if bytes.Contains(body, []byte(`"allowed":false`)) || bytes.Contains(body, []byte(`"allowed": false`)) {
		r.Denied++
	}
	if status >= 300 && status != 403 && len(r.Samples) < 3 {
		r.Samples = append(r.Samples, string(body[:min(len(body), 300)]))
	}
}

func main() {
	var w work
	if err := json.NewDecoder(os.Stdin).Decode(&w); err != nil {
		fail(err)
	}
	if len(w.Requests) == 0 {
		fail(fmt.Errorf("no requests"))
	}
	client, err := clientOf(w)
	if err != nil {
		fail(err)
	}
	recorded := &recorder{result: result{Statuses: map[string]int{}, Errors: map[string]int{}}}
	start := time.Now()
	recorded.counted = start.Add(seconds(w.Warmup))
	end := recorded.counted.Add(seconds(w.Seconds))
	if w.Rate > 0 {
		open(client, w, recorded, start, end)
	} else {
		closed(client, w, recorded, end)
	}
	recorded.Seconds = time.Since(recorded.counted).Seconds()
	if err := json.NewEncoder(os.Stdout).Encode(recorded.result); err != nil {
		fail(err)
	}
}

func open(client *http.Client, w work, recorded *recorder, start, end time.Time) {
	var under sync.WaitGroup
	random := rand.New(rand.NewSource(1))
	n := 0
	for arrived, after := 0, 0.0; ; arrived++ {
		moment := start.Add(seconds(after / w.Rate))
		if !moment.Before(end) {
			break
		}
		time.Sleep(time.Until(moment))
		for range max(w.Burst, 1) {
			under.Add(1)
			go func(n int) {
				defer under.Done()
				send(client, w, n, moment, recorded)
			}(n)
			n++
		}
		if w.Poisson {
			after += random.ExpFloat64()
		} else {
			after = float64(arrived + 1)
		}
	}
	under.Wait()
}

func closed(client *http.Client, w work, recorded *recorder, end time.Time) {
	var under sync.WaitGroup
	var next atomic.Int64
	for range max(w.Workers, 1) {
		under.Add(1)
		go func() {
			defer under.Done()
			for {
				n := int(next.Add(1) - 1)
				if w.Once && n >= len(w.Requests) || !w.Once && !time.Now().Before(end) {
					return
				}
				send(client, w, n, time.Now(), recorded)
			}
		}()
	}
	under.Wait()
}

func send(client *http.Client, w work, n int, moment time.Time, recorded *recorder) {
	asked := w.Requests[n%len(w.Requests)]
	began := time.Now()
	status, body, err := ask(client, asked, w.Timeout)
	recorded.add(moment, began, time.Now(), status, body, err)
}

func ask(client *http.Client, asked request, timeout float64) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), seconds(timeout))
	defer cancel()
	made, err := http.NewRequestWithContext(ctx, asked.Method, asked.URL, bytes.NewReader([]byte(asked.Body)))
	if err != nil {
		return 0, nil, err
	}
	for name, value := range asked.Headers {
		made.Header.Set(name, value)
	}
	answer, err := client.Do(made)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

func clientOf(w work) (*http.Client, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if w.CA != "" {
		pem, err := os.ReadFile(w.CA)
		if err != nil {
			return nil, err
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate", w.CA)
		}
	}
	if w.Cert != "" {
		pair, err := tls.LoadX509KeyPair(w.Cert, w.Key)
		if err != nil {
			return nil, err
		}
		trust.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{
		TLSClientConfig:     trust,
		ForceAttemptHTTP2:   w.HTTP2,
		MaxIdleConnsPerHost: 1024,
		DisableCompression:  true,
	}
	return &http.Client{Transport: transport}, nil
}

func seconds(value float64) time.Duration {
	return time.Duration(value * float64(time.Second))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "loadgen:", err)
	os.Exit(1)
}
