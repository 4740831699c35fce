/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of connections of TLS, and what the ring tells of a burst. node_probe/kernel_burst.py mirrors the latter; a test
 * compares both. Integers are in the host's byte order; padding is explicit.
 */
#ifndef HOPSPAN_BURST_H
#define HOPSPAN_BURST_H

#include "record.h"

enum burst_kind { BURST_START = 1, BURST_FOLLOWER };

/* Where a burst stands in its direction. */
enum burst_place {
	AMID = 0,
	BEHIND_HANDSHAKE,     /* the first behind a segment of a handshake */
	BEHIND_HANDSHAKE_1_2, /* the same, and if the direction is a server's, that was TLS 1.2 or older */
};

/* Records of TLS that begin in a segment and are told by their lengths. */
#define BURST_RECORDS 4

/* What a context of format FLOW has in the place of its text. It tells of a burst of TLS: the segments that went one way before
 * the other side's next payload. Of a follower, the first segment behind the burst's first that begins with a record, only the
 * first point's stamp is valid, and the transit's sequence number is the burst's; the last three fields are its own.
 */
struct burst {
	__u8 kind;		  /* enum burst_kind */
	__u8 place;		  /* enum burst_place */
	__u16 number;		  /* of the direction's bursts, those that were not handed out with them */
	__u32 previous_followers; /* segments of the burst before, behind its first, that began with a record */
	__u64 previous_last_ns; /* when the last segment came that began with a record in the burst before; 0: unknown */
	__u16 records[BURST_RECORDS]; /* lengths of those that begin in the segment, 0: none, or not looked at */
	__u32 ack;
	__u32 payload_length;
};

/* What is known of a direction, of which more than the numbers. */
enum direction_mark {
	BEGUN = 1,	     /* `burst_seq` is known */
	FOLLOWED = 2,	     /* a follower of the burst was told of, or need not be */
	AFTER_HANDSHAKE = 4, /* of the burst: see struct burst */
	IN_HANDSHAKE = 8,    /* nothing acknowledges more than the last segment of a handshake so far */
	HANDSHAKE_ENDS = 16, /* the last segment was one of a handshake */
	OUT_OF_SIGHT = 32,   /* where the next record begins is not known */
	CIPHER_CHANGED = 64, /* a record of a handshake was right behind a change of cipher, in one segment */
};

/* One direction of a connection of TLS: see directions.c. Numbers of TCP are in host order. */
struct tls_direction {
	__u64 flow[2]; /* addresses and ports: see flow_words */
	__u32 end;     /* behind the last segment, or the last record, that began with what was read */
	__u32 last_ack;
	__u32 burst_seq; /* of the latest burst's first byte */
	__u32 burst_tsval;
	__u32 followers;
	__u32 previous_followers; /* of the burst before, as the next */
	__u64 last_ns;
	__u64 previous_last_ns;
	__u16 number;
	__u16 marks; /* enum direction_mark */
	__u32 reserved;
};

#endif
