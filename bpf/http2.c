/* SPDX-License-Identifier: Apache-2.0 */
/* The program that first points call for a segment of HTTP/2, by a tail call: so the verifier follows it alone. It walks the
 * frames, and starts one transit for all requests, or responses, whose header blocks begin in the segment.
 */

/* Reads the head of the frame at segment.at, of which `held` bytes came with an earlier segment. Returns 0 where this one ends in
 * it, too, after `cut` bytes in all.
 */
static __always_inline int load_head(struct __sk_buff *skb, struct workspace *work)
{
	struct segment *segment = &work->segment;
	__u64 at = READ_AGAIN(segment->at), held = READ_AGAIN(segment->held);
	__u64 rest = work->message.payload_length - at; /* with what is held */
	__u64 n = rest < FRAME_HEAD_BYTES ? rest : FRAME_HEAD_BYTES;

	segment->held = 0;
	segment->cut = rest < FRAME_HEAD_BYTES ? rest : 0;
	held = BOUNDED(held, 16);
	n = BOUNDED(n - held - 1, 16) + 1;
	if (bpf_skb_load_bytes(skb, work->message.payload_offset + at + held, &segment->head[held], n) < 0)
		segment->is_lost = 1;
	return !READ_AGAIN(segment->cut) && !READ_AGAIN(segment->is_lost);
}

/* Whether there is another frame to be read in the segment. */
static __always_inline int has_more(struct workspace *work)
{
	return !READ_AGAIN(work->segment.is_lost) && !READ_AGAIN(work->segment.cut) &&
	       (__s64)READ_AGAIN(work->segment.at) < (__s64)READ_AGAIN(work->message.payload_length);
}

/* Reads the head of the next frame. Returns 0 where there is none. */
static __always_inline int read_next(struct __sk_buff *skb, struct workspace *work)
{
	struct segment *segment = &work->segment;

	if (!has_more(work) || !load_head(skb, work))
		return 0;
	segment->frame = read_frame(segment->head);
	if (is_plausible(&segment->frame, READ_AGAIN(segment->is_certain)))
		return 1;
	segment->is_lost = 1;
	return 0;
}

/* Moves segment.at behind the frame. */
static __always_inline void step_over(struct workspace *work)
{
	work->segment.at += (__u64)FRAME_HEAD_BYTES + READ_AGAIN(work->segment.frame.length);
}

/* Steps over what is not looked at any more, so that the next segment is not lost. */
static __always_inline void step_over_rest(struct __sk_buff *skb, struct workspace *work)
{
	if (!has_more(work))
		return;
	count(HTTP2_TOO_MANY);
#pragma nounroll
	for (__u32 i = 0; i < FRAMES_STEPPED; i++) {
		MEETING_POINT();
		if (!read_next(skb, work))
			return;
		step_over(work);
	}
}

/* Goes to the next frame that begins or resets a stream. Returns 0 where there is none, or none that is looked at. */
static __always_inline int find_frame(struct __sk_buff *skb, struct workspace *work)
{
	struct segment *segment = &work->segment;

#pragma nounroll
	for (__u32 i = 0; i < FRAMES_MAX; i++) {
		MEETING_POINT();
		if (READ_AGAIN(segment->frames) >= FRAMES_MAX || READ_AGAIN(segment->streams) >= STREAMS_MAX)
			break;
		if (!read_next(skb, work))
			return 0;
		segment->frames += 1;
		__u32 type = READ_AGAIN(segment->frame.type);
		__u32 is_of_client = READ_AGAIN(segment->frame.stream) & 1; /* what servers push has even numbers */
		if ((type == FRAME_HEADERS || type == FRAME_RST_STREAM) && is_of_client) {
			segment->streams += 1;
			return 1;
		}
		step_over(work);
	}
	MEETING_POINT();
	step_over_rest(skb, work);
	return 0;
}

/* The rest of the preface, whose first word was seen. */
static __always_inline int is_preface(struct __sk_buff *skb, const struct message *message)
{
	__u64 words[PREFACE_BYTES / 8];

	if (bpf_skb_load_bytes(skb, message->payload_offset, words, sizeof(words)) < 0)
		return 0;
	return words[0] == EIGHT('P', 'R', 'I', ' ', '*', ' ', 'H', 'T') &&
	       words[1] == EIGHT('T', 'P', '/', '2', '.', '0', '\r', '\n') &&
	       words[2] == EIGHT('\r', '\n', 'S', 'M', '\r', '\n', '\r', '\n');
}

/* Finds out where the segment's first frame begins. Returns 0 where the segment holds none. */
static __always_inline int begin_segment(struct __sk_buff *skb, struct workspace *work)
{
	struct segment *segment = &work->segment;
	__u32 kind = READ_AGAIN(work->message.kind);

	note_time(work);
	work->flags = 0;
	segment->is_begun = 1;
	segment->frames = 0;
	segment->streams = 0;
	segment->at = 0;
	segment->held = 0;
	segment->cut = 0;
	segment->is_certain = 1;
	segment->is_lost = 0;
	segment->is_proven = 0;
	segment->contexts = 0;
	if (READ_AGAIN(work->is_expected) && resume_frame(work))
		return 1; /* a frame goes on, whatever its bytes look like */
	if (kind == HTTP2_PREFACE) {
		segment->at = PREFACE_BYTES;
		return is_preface(skb, &work->message);
	}
	segment->is_certain = begins_with_frame(&work->message);
	return kind == HTTP2_FRAME;
}

/* Keeps where the next frame begins. On a connection that was not followed so far, frames that end with the segment say that
 * it is one of HTTP/2, or a header block that is one.
 */
static __always_inline void end_segment(struct workspace *work)
{
	const struct segment *segment = &work->segment;
	__u64 beyond = READ_AGAIN(segment->at) - work->message.payload_length;
	__u64 cut = READ_AGAIN(segment->cut);

	if (!segment->is_certain && segment->is_proven)
		count(HTTP2_UNCERTAIN);
	if (segment->is_lost || (__s64)(beyond + cut) < 0)
		return;
	if (!segment->is_certain && !segment->is_proven && beyond)
		return;
	note_boundary(work, seq_at(&work->message, segment->at));
	if (beyond)
		follow_frame(work, cut ? 0 : beyond, cut);
}

/* Starts the transit of the contexts that were found. */
static __always_inline void start_streams(struct __sk_buff *skb, struct workspace *work)
{
	struct transit_key key = packet_key(&work->message);

	work->message.kind = READ_AGAIN(work->segment.kind);
	work->first = key_of(&work->message);
	work->context = work->segment.kept[0].context;
	work->frame_at = work->segment.kept[0].at;
	MEETING_POINT();
	chain_contexts(work);
	MEETING_POINT();
	if (!add_transit(skb, work, &key, point_of(work), NOTHING_ELSE)) {
		free_chain(READ_AGAIN(work->more));
		return;
	}
	add_count(TRANSITS_STARTED, READ_AGAIN(work->segment.contexts));
}

/* The program that first points call for what may be HTTP/2. It looks at one such frame, and calls itself for the next: up to
 * STREAMS_MAX times.
 */
int http2(struct __sk_buff *skb)
{
	__u64 zero = 0;
	struct workspace *work = workspaces.lookup((int *)&zero);

	if (!work)
		return TC_ACT_UNSPEC;
	if (!READ_AGAIN(work->segment.is_begun)) {
		if (READ_AGAIN(work->is_expected) && is_unfinished(&work->message)) {
			calls.call(skb, CALL_HTTP1); /* a body of HTTP/1 goes on, which may look like anything */
			return TC_ACT_UNSPEC;
		}
		if (!begin_segment(skb, work))
			return TC_ACT_UNSPEC;
	}
	MEETING_POINT();
	if (find_frame(skb, work)) {
		MEETING_POINT();
		if (READ_AGAIN(work->segment.frame.type) == FRAME_HEADERS)
			look_at_headers(skb, work);
		else
			reset_stream(work, READ_AGAIN(work->segment.frame.stream));
		MEETING_POINT();
		step_over(work);
		calls.call(skb, CALL_HTTP2);
	}
	MEETING_POINT();
	end_segment(work);
	MEETING_POINT();
	if (READ_AGAIN(work->segment.contexts))
		start_streams(skb, work);
	return TC_ACT_UNSPEC;
}
