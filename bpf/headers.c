/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of one header block of HTTP/2: a context that the segment's transit will have, or a count. */

/* Puts a context of the workspace among those of the segment, whose frame begins at segment.at. */
static __always_inline void keep_context(struct workspace *work)
{
	__u64 number = READ_AGAIN(work->segment.contexts);
	struct stream_context *kept = &work->segment.kept[BOUNDED(number, STREAMS_MAX)];

	kept->at = work->segment.at;
	kept->context = work->context;
	kept->context.stream_id = work->segment.frame.stream;
	work->segment.contexts = number + 1;
}

/* The longest header block that holds a status by its number alone. */
#define BARE_STATUS_MAX 2

/* Counts a request without a context that can be read. */
static __always_inline void count_unread(struct workspace *work, __u64 kinds)
{
	if (kinds & IS_BAD)
		count(REQUEST_BAD_CONTEXT);
	else if ((kinds & IS_TOO_LONG) ||
		 (READ_AGAIN(work->fields.length) == HPACK_BLOCK_MAX && READ_AGAIN(work->segment.is_cut)))
		count(REQUEST_TOO_LONG);
	else if (READ_AGAIN(work->segment.is_cut))
		count(REQUEST_UNFINISHED);
	else
		count(kinds & BY_NUMBER ? HTTP2_INDEXED : REQUEST_NO_CONTEXT);
}

/* Judges a request, whose header block was walked. */
static __always_inline void judge_stream_request(struct __sk_buff *skb, struct workspace *work, __u64 kinds)
{
	__u32 seq = bpf_htonl(seq_at(&work->message, work->segment.at));

	count(HTTP2_REQUESTS);
	if (kinds & HAS_SEVERAL) {
		count(HTTP2_AMBIGUOUS);
		return;
	}
	work->result = take_stream_context(&work->block, &work->fields, &work->context);
	MEETING_POINT();
	enum search_result result = READ_AGAIN(work->result);
	if (result == CONTEXT_NONE) {
		count_unread(work, kinds);
		return;
	}
	if (!count_result(result, &work->context) || !is_within_rate(skb, work, point_of(work)))
		return;
	work->segment.kind = HTTP_REQUEST;
	if (enter_stream(work, seq, work->segment.frame.stream))
		keep_context(work);
}

/* Judges what a server may have sent: the first header block of a stream is the response, what follows it are trailers. */
static __always_inline void judge_stream_response(struct __sk_buff *skb, struct workspace *work, __u64 kinds)
{
	__u32 seq = bpf_htonl(seq_at(&work->message, work->segment.at));
	__u64 *where = 0;
	struct exchange *exchange = read_stream(work, work->segment.frame.stream, &where);

	if (!exchange) {
		if (kinds & IS_RESPONSE)
			count(RESPONSE_NO_EXCHANGE);
		return;
	}
	/* 100, the second time on a connection, is one number and all that there is. */
	int is_bare = kinds == BY_NUMBER && READ_AGAIN(work->fields.length) <= BARE_STATUS_MAX;
	if (((kinds & IS_INTERIM) || is_bare) && !(work->segment.frame.flags & FLAG_END_STREAM)) {
		count(RESPONSE_INTERIM);
		return;
	}
	/* Trailers, whose response was not seen. A response has its status, content-type or date by a number of the static
	 * table; they have not, neither gRPC's nor others (RFC 9110 section 6.5.1).
	 */
	if ((work->segment.frame.flags & FLAG_END_STREAM) && !(kinds & (FROM_STATIC | IS_RESPONSE)))
		return;
	if (exchange->answered && exchange->response_seq != seq)
		return;
	if (exchange->answered && exchange->response_tsval == work->message.tsval) {
		count(REPEATED);
		return;
	}
	note_earlier(work, exchange->answered);
	mark_answered(exchange, where, seq, work->message.tsval);
	work->segment.kind = HTTP_RESPONSE;
	if (is_within_rate(skb, work, point_of(work)))
		keep_context(work);
}

/* Loads the header block of the frame at segment.at. Returns 0, and counts the frame, where there is none in the segment. */
static __always_inline int load_fields(struct __sk_buff *skb, struct workspace *work)
{
	const struct frame *frame = &work->segment.frame;
	__u64 at = READ_AGAIN(work->segment.at) + FRAME_HEAD_BYTES;
	__u32 skip = (frame->flags & FLAG_PRIORITY ? PRIORITY_BYTES : 0) + (frame->flags & FLAG_PADDED ? 1 : 0);
	__u8 padding = 0;

	if ((frame->flags & FLAG_PADDED) &&
	    bpf_skb_load_bytes(skb, work->message.payload_offset + at, &padding, sizeof(padding)) < 0)
		padding = 0; /* it lies in the next segment, as the block does */
	__u64 length = (__u64)frame->length - skip - padding;
	__u64 rest = work->message.payload_length - at - skip;
	if ((__s64)length <= 0) {
		count(HTTP2_MALFORMED); /* RFC 9113 section 6.1: padding that is longer than what holds it */
		work->segment.is_lost = 1;
		return 0;
	}
	if ((__s64)rest <= 0) {
		count(REQUEST_UNFINISHED);
		return 0;
	}
	__u64 n = rest < length ? rest : length;
	if (n > HPACK_BLOCK_MAX)
		n = HPACK_BLOCK_MAX;
	work->segment.is_cut = n < length || !(frame->flags & FLAG_END_HEADERS);
	work->fields.length = n;
	n = BOUNDED(n - 1, HPACK_BLOCK_MAX) + 1;
	if (bpf_skb_load_bytes(skb, work->message.payload_offset + at + skip, work->block.bytes, n) < 0)
		return 0;
	*(__u32 *)&work->block.bytes[BOUNDED(n, HPACK_ROOM)] =
		0; /* of a number that is cut, what follows is no part */
	return 1;
}

/* Looks at the header block of a frame. */
static __always_inline void look_at_headers(struct __sk_buff *skb, struct workspace *work)
{
	if (!load_fields(skb, work))
		return;
	MEETING_POINT();
	walk_block(work->block.bytes, &work->fields, READ_AGAIN(work->segment.is_cut));
	MEETING_POINT();
	__u64 kinds = READ_AGAIN(work->fields.kinds);
	if (kinds & IS_BROKEN) {
		if (READ_AGAIN(work->segment.is_certain))
			count(HTTP2_MALFORMED);
		work->segment.is_lost = 1;
		return;
	}
	if (!(work->segment.frame.flags & FLAG_END_HEADERS))
		count(HTTP2_CONTINUED);
	if (kinds & (IS_REQUEST | IS_RESPONSE))
		work->segment.is_proven = 1;
	if (kinds & IS_REQUEST)
		judge_stream_request(skb, work, kinds);
	else
		judge_stream_response(skb, work, kinds);
}
