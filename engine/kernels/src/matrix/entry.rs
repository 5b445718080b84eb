//! The entry points that each instruction-set file has: the generic algorithms, compiled with its features.

/// Compiles every algorithm for one level of instructions.
macro_rules! entry_points {
    ($vector:ty, $token:expr, $($features:literal)?) => {
        /// Columns of a panel: those of two registers.
        pub(super) const PANEL_COLUMNS: usize = 2 * <$vector as Vector>::LANES;

        /// See [`multiply::run`](crate::matrix::multiply::run).
        ///
        /// # Safety
        /// The processor has this file's instructions, and the job's pointers are valid as it says.
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn multiply(job: &$crate::matrix::multiply::Job<'_>) {
            // SAFETY: the caller's obligation, passed on.
            unsafe { $crate::matrix::multiply::run::<$vector>($token, job) }
        }

        /// See [`math::activate`](crate::matrix::math::activate).
        ///
        /// # Safety
        /// The processor has this file's instructions.
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn activate(activation: $crate::matrix::Activation, values: &mut [f32]) {
            $crate::matrix::math::activate::<$vector>($token, activation, values);
        }

        /// See [`math::layer_norm`](crate::matrix::math::layer_norm).
        ///
        /// # Safety
        /// The processor has this file's instructions.
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn layer_norm(norm: &$crate::matrix::Norm<'_>, values: &mut [f32]) {
            $crate::matrix::math::layer_norm::<$vector>($token, norm, values);
        }

        /// See [`math::softmax`](crate::matrix::math::softmax).
        ///
        /// # Safety
        /// The processor has this file's instructions.
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn softmax(width: usize, stride: usize, values: &mut [f32]) {
            $crate::matrix::math::softmax::<$vector>($token, width, stride, values);
        }
    };
}

pub(super) use entry_points;
