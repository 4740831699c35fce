/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the kernel's header: BCC includes it for histograms, which we do not use. */
