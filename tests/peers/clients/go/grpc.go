package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
)

const callsService = "peers.Calls"

// pause lies between calls that are to be written one by one.
const pause = time.Millisecond

// rawCodec lets messages be the bytes that they are. Without a name the content type is plain `application/grpc`.
type rawCodec struct{}

func (rawCodec) Marshal(value any) ([]byte, error) { return *value.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, value any) error {
	*value.(*[]byte) = append([]byte{}, data...)
	return nil
}
func (rawCodec) Name() string { return "" }

// gathering holds calls back until as many as each of them names are there, and lets them go with a pause between.
type gathering struct {
	pause   time.Duration
	mutex   sync.Mutex
	waiting []chan struct{}
}

func (g *gathering) wait(number int) {
	mine := make(chan struct{})
	g.mutex.Lock()
	g.waiting = append(g.waiting, mine)
	if len(g.waiting) == number {
		go release(g.waiting, g.pause)
		g.waiting = nil
	}
	g.mutex.Unlock()
	<-mine
}

func (g *gathering) answer(_ context.Context, request []byte) ([]byte, error) {
	number, err := strconv.Atoi(string(request))
	if err == nil {
		g.wait(number)
	}
	return request, err
}

func release(waiting []chan struct{}, pause time.Duration) {
	for _, one := range waiting {
		close(one)
		time.Sleep(pause)
	}
}

func describeService() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: callsService,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			unaryMethod("Echo", func(_ context.Context, request []byte) ([]byte, error) { return request, nil }),
			unaryMethod("Gather", (&gathering{pause: pause}).answer),
			unaryMethod("Burst", (&gathering{}).answer),
			unaryMethod("Wait", func(ctx context.Context, _ []byte) ([]byte, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}),
		},
		Streams: []grpc.StreamDesc{{StreamName: "Chat", Handler: chat, ServerStreams: true, ClientStreams: true}},
	}
}

func unaryMethod(name string, answer func(context.Context, []byte) ([]byte, error)) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var request []byte
			if err := decode(&request); err != nil {
				return nil, err
			}
			response, err := answer(ctx, request)
			return &response, err
		},
	}
}

// chat answers each message with itself.
func chat(_ any, stream grpc.ServerStream) error {
	for {
		var message []byte
		if err := stream.RecvMsg(&message); err != nil {
			return ignoreEnd(err)
		}
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
}

// serveGrpc answers until the process is told to stop.
func serveGrpc(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}))
	server.RegisterService(describeService(), struct{}{})
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	go func() {
		<-stopped
		server.Stop()
	}()
	fmt.Println("serving")
	return server.Serve(listener)
}
