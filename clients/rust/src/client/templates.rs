//! The calls of TemplatesService.

use ragstone_proto::v1;
use ragstone_proto::v1::templates_service_client::TemplatesServiceClient;

use super::{Calling, Client, LIST_PAGE_SIZE, service};
use crate::call::{call, methods};
use crate::enrich::ChatMessage;
use crate::error::{Error, Result};
use crate::template::{PreviewTemplate, Template};

impl Client {
    /// Registers a template as the next version of a name, unless the newest says the same; durable when it returns. 60 s by default.
    ///
    /// # Errors
    /// `Code::InvalidArgument`, naming `name` or `source`; of a syntax error with its line.
    pub async fn register_template(&self, name: &str, source: &str) -> Result<Template> {
        let service = self.templates();
        let request = v1::RegisterTemplateRequest { name: name.to_owned(), source: source.to_owned() };
        let response = call(self.policy, methods::REGISTER_TEMPLATE, request, |request| {
            let mut service = service.clone();
            async move { service.register_template(request).await }
        })
        .await?;
        response.template.map(Template::from_wire).ok_or_else(|| Error::missing("template"))
    }

    /// Gives a template with its source: `name@version`, or `name` for its newest version. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`.
    pub async fn get_template(&self, template: &str) -> Result<Template> {
        let service = self.templates();
        let request = v1::GetTemplateRequest { template: template.to_owned() };
        let response = call(self.policy, methods::GET_TEMPLATE, request, |request| {
            let mut service = service.clone();
            async move { service.get_template(request).await }
        })
        .await?;
        response.template.map(Template::from_wire).ok_or_else(|| Error::missing("template"))
    }

    /// Lists the versions of a name, or of all names if it is empty, without their sources. 30 s a page by default.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list_templates(&self, name: &str) -> Result<Vec<Template>> {
        let service = self.templates();
        let (mut templates, mut page_token) = (Vec::new(), String::new());
        loop {
            let (name, page_size) = (name.to_owned(), LIST_PAGE_SIZE);
            let request = v1::ListTemplatesRequest { name, page_size, page_token };
            let response = call(self.policy, methods::LIST_TEMPLATES, request, |request| {
                let mut service = service.clone();
                async move { service.list_templates(request).await }
            })
            .await?;
            templates.extend(response.templates.into_iter().map(Template::from_wire));
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(templates);
            }
        }
    }

    /// Removes a version of a template, or all where `template` is a name alone; how many there were. 60 s by default.
    ///
    /// # Errors
    /// `Code::InvalidArgument`.
    pub async fn delete_template(&self, template: &str) -> Result<usize> {
        let service = self.templates();
        let request = v1::DeleteTemplateRequest { template: template.to_owned() };
        let response = call(self.policy, methods::DELETE_TEMPLATE, request, |request| {
            let mut service = service.clone();
            async move { service.delete_template(request).await }
        })
        .await?;
        Ok(response.deleted as usize)
    }

    /// Renders a template with sample passages, without a collection. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the field.
    pub async fn preview_template(&self, request: PreviewTemplate) -> Result<Vec<ChatMessage>> {
        let service = self.templates();
        let response = call(self.policy, methods::PREVIEW_TEMPLATE, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.preview_template(request).await }
        })
        .await?;
        response.messages.into_iter().map(ChatMessage::from_wire).collect()
    }

    fn templates(&self) -> TemplatesServiceClient<Calling> {
        service!(self, TemplatesServiceClient)
    }
}
