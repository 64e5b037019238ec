//! The same by libvpx, for whoever has it: feature `libvpx`, which links what `pkg-config` finds.
#![allow(unsafe_code)] // calls into C; what holds is said at each

use std::mem::MaybeUninit;
use std::ptr;

use vpx_sys::{
    VPX_CODEC_OK, VPX_DECODER_ABI_VERSION, vpx_codec_ctx_t, vpx_codec_dec_init_ver,
    vpx_codec_decode, vpx_codec_destroy, vpx_codec_get_frame, vpx_codec_vp8_dx, vpx_image_t,
};

use super::{DecodeError, FrameDecoder, Limits, header};
use crate::picture::Picture;

/// Decodes VP8 by libvpx.
pub struct Libvpx {
    /// Never moved once it is set up: the library may keep its address.
    context: Box<vpx_codec_ctx_t>,
    limits: Limits,
    ready: bool,
}

// SAFETY: a context may be used by any thread as long as one uses it at a time, which `&mut`
// sees to.
unsafe impl Send for Libvpx {}

impl std::fmt::Debug for Libvpx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Libvpx").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Libvpx {
    /// A decoder that takes pictures up to `limits`.
    ///
    /// # Errors
    /// When the library that was linked is not the one that it was built with.
    pub fn new(limits: Limits) -> Result<Self, DecodeError> {
        let mut context = Box::new(MaybeUninit::<vpx_codec_ctx_t>::zeroed());
        // SAFETY: the library fills the context in; without a configuration it takes its defaults.
        let done = unsafe {
            vpx_codec_dec_init_ver(
                context.as_mut_ptr(),
                vpx_codec_vp8_dx(),
                ptr::null(),
                0,
                VPX_DECODER_ABI_VERSION as i32,
            )
        };
        if done != VPX_CODEC_OK {
            return Err(DecodeError::Library);
        }
        // SAFETY: it has been set up.
        let context = unsafe { context.assume_init() };
        Ok(Libvpx { context, limits, ready: false })
    }

    fn try_decode(&mut self, frame: &[u8]) -> Result<Option<Picture>, DecodeError> {
        let header = header(frame)?;
        if let Some((width, height)) = header.size {
            self.limits.check(width, height)?;
        } else if !self.ready {
            return Err(DecodeError::NoKey);
        }
        let length = u32::try_from(frame.len()).map_err(|_| DecodeError::Library)?;
        // SAFETY: the bytes are there for the length given, and are not kept beyond the call.
        let done = unsafe {
            vpx_codec_decode(&raw mut *self.context, frame.as_ptr(), length, ptr::null_mut(), 0)
        };
        if done != VPX_CODEC_OK {
            return Err(DecodeError::Library);
        }
        self.ready = true;
        let mut iterator = ptr::null();
        // SAFETY: the iterator begins as null; the image, where there is one, lives until the
        // next call that decodes.
        let image =
            unsafe { vpx_codec_get_frame(&raw mut *self.context, &raw mut iterator).as_ref() };
        Ok(image.filter(|_| header.shown).map(picture))
    }
}

/// Copies an image of the library's.
fn picture(image: &vpx_image_t) -> Picture {
    let (width, height) = (image.d_w as usize, image.d_h as usize);
    let plane = |index: usize, width: usize, height: usize| {
        let mut out = Vec::with_capacity(width * height);
        for row in 0..height {
            let offset = row as isize * image.stride[index] as isize;
            // SAFETY: a plane has `height` rows of at least `width` samples, `stride` apart.
            let line =
                unsafe { std::slice::from_raw_parts(image.planes[index].offset(offset), width) };
            out.extend_from_slice(line);
        }
        out
    };
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    Picture {
        width: image.d_w as u16,
        height: image.d_h as u16,
        y: plane(0, width, height),
        u: plane(1, half_width, half_height),
        v: plane(2, half_width, half_height),
    }
}

impl FrameDecoder for Libvpx {
    fn decode(&mut self, frame: &[u8]) -> Result<Option<Picture>, DecodeError> {
        let result = self.try_decode(frame);
        if result.is_err() {
            self.reset();
        }
        result
    }

    fn reset(&mut self) {
        self.ready = false;
    }
}

impl Drop for Libvpx {
    fn drop(&mut self) {
        // SAFETY: the context was set up and is not used again.
        unsafe { vpx_codec_destroy(&raw mut *self.context) };
    }
}
